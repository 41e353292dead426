use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{RedisError, RedisLimiter, Throttled};
use crate::{Clock, Decision, KeyedLimiter, ManualClock, MonotonicClock, Quota, Timestamp};

/// Answers whatever it was made with.
struct Canned {
    answer: io::Cursor<Vec<u8>>,
    asked: Vec<u8>,
}

impl Read for Canned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.answer.read(buffer)
    }
}

impl Write for Canned {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.asked.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn canned(answer: &[u8]) -> RedisLimiter<Canned> {
    let stream = Canned { answer: io::Cursor::new(answer.to_vec()), asked: Vec::new() };
    RedisLimiter::new(stream, &Quota::per_minute(30).unwrap().with_burst(16).unwrap()).unwrap()
}

#[test]
fn the_command_and_its_answer_are_what_the_module_says() {
    let mut limiter = canned(b"*5\r\n:0\r\n:16\r\n:15\r\n:-1\r\n:2\r\n");
    let said = limiter.check_n(b"user:1", 1).unwrap();
    let expected = "*6\r\n$11\r\nCL.THROTTLE\r\n$6\r\nuser:1\r\n$2\r\n15\r\n$2\r\n30\r\n$2\r\n\
                    60\r\n$1\r\n1\r\n";
    assert_eq!(String::from_utf8_lossy(&limiter.stream.asked), expected);
    let full_after = Duration::from_secs(2);
    let retry_after = None;
    assert_eq!(
        said,
        Throttled { admitted: true, burst: 16, remaining: 15, retry_after, full_after }
    );
}

#[test]
fn refusals_and_nonsense_are_told_apart() {
    let refused = canned(b"-ERR unknown command\r\n").check_n(b"k", 1).unwrap_err();
    assert!(matches!(&refused, RedisError::Refused(text) if text == "ERR unknown command"));
    for nonsense in [&b"+OK\r\n"[..], b"*4\r\n", b"*5\r\n+0\r\n", b"*5\r\n:x\r\n"] {
        let error = canned(nonsense).check_n(b"k", 1).unwrap_err();
        assert!(matches!(error, RedisError::Protocol), "{error}");
    }
    assert!(matches!(canned(b"*5\r\n:0").check_n(b"k", 1).unwrap_err(), RedisError::Io(_)));
    let endless = vec![b'x'; 10_000];
    assert!(matches!(canned(&endless).check_n(b"k", 1).unwrap_err(), RedisError::Protocol));
    let odd = Quota::new(1, Duration::from_millis(1_500)).unwrap();
    let stream = Canned { answer: io::Cursor::new(Vec::new()), asked: Vec::new() };
    assert!(matches!(RedisLimiter::new(stream, &odd), Err(RedisError::Quota)));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(answer in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(canned(&answer).check_n(b"k", 1));
        let mut framed = b"*5\r\n:".to_vec();
        framed.extend(answer);
        drop(canned(&framed).check_n(b"k", 1));
    }
}

/// One command of a client: its words.
fn command(stream: &mut impl Read) -> Option<Vec<String>> {
    let mut line = || {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            text.push(byte[0]);
        }
        text.truncate(text.len() - 2);
        String::from_utf8(text).ok()
    };
    let count: usize = line()?.strip_prefix('*')?.parse().ok()?;
    (0..count).map(|_| line().and_then(|_| line())).collect()
}

/// A server in this process that keeps the buckets with our own limiter.
fn serve(listener: &TcpListener) {
    let quota = Quota::per_minute(30).unwrap().with_burst(3).unwrap();
    let limiter = KeyedLimiter::builder(quota, 100).clock(ManualClock::default()).build().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    while let Some(words) = command(&mut stream) {
        assert_eq!(words[2..5], ["2", "30", "60"]);
        let decision = limiter.check_n(&words[1], words[5].parse().unwrap());
        let standing = limiter.standing_at(Timestamp::ZERO, &words[1]);
        let (limited, retry_after) = match decision {
            Decision::Admitted => (0, -1),
            Decision::Denied(denial) => (1, i64::try_from(denial.retry_after().as_secs()).unwrap()),
            Decision::Impossible { .. } => (1, -1),
        };
        let (left, full) = (standing.remaining(), standing.full_after().as_secs());
        let answer = format!("*5\r\n:{limited}\r\n:3\r\n:{left}\r\n:{retry_after}\r\n:{full}\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
    }
}

#[test]
fn a_server_over_a_socket_keeps_a_bucket_for_each_key() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener));
        let stream = TcpStream::connect(address).unwrap();
        let quota = Quota::per_minute(30).unwrap().with_burst(3).unwrap();
        let mut limiter = RedisLimiter::new(stream, &quota).unwrap();
        for key in [&b"ada"[..], b"grace"] {
            assert!(limiter.check_n(key, 2).unwrap().admitted);
            let denied = limiter.check_n(key, 2).unwrap();
            assert!(!denied.admitted);
            assert_eq!(denied.retry_after, Some(Duration::from_secs(2)));
            assert_eq!((denied.remaining, denied.full_after), (1, Duration::from_secs(4)));
        }
    });
}

/// A redis-server of this machine, until it is dropped.
struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    /// Starts one with this module, or with none; `None`, and said so, where there is no program.
    fn start(module: Option<&str>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket", "socket", "--save", ""]);
        command.args(module.into_iter().flat_map(|module| ["--loadmodule", module]));
        match command.current_dir(folder.path()).stdout(Stdio::null()).spawn() {
            Ok(process) => Some(Self { process, folder }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                println!("skipped: this machine has no redis-server");
                None
            }
            Err(error) => panic!("redis-server does not start: {error}"),
        }
    }

    /// A connection, when it listens.
    fn connect(&mut self) -> UnixStream {
        const PATIENCE: Duration = Duration::from_secs(30);
        const PAUSE: Duration = Duration::from_millis(10);
        let clock = MonotonicClock::new();
        let began = clock.now();
        while clock.now().saturating_since(began) < PATIENCE {
            if let Ok(stream) = UnixStream::connect(self.folder.path().join("socket")) {
                return stream;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "redis-server has ended: {ended:?}");
            clock.sleep(PAUSE);
        }
        panic!("redis-server does not listen within {PATIENCE:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Failure: it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A real server that lacks the module says so each time, and the connection stays good.
#[test]
fn a_real_server_without_the_module_refuses() {
    let Some(mut server) = Server::start(None) else { return };
    let quota = Quota::per_minute(30).unwrap().with_burst(3).unwrap();
    let mut limiter = RedisLimiter::new(server.connect(), &quota).unwrap();
    for key in ["ada", "a key\r\nof two lines"] {
        let refused = limiter.check_n(key.as_bytes(), 1).unwrap_err();
        let RedisError::Refused(text) = &refused else { panic!("{refused}") };
        assert!(text.to_lowercase().contains("unknown command"), "{text}");
    }
}

/// A real server with the module that the environment names decides as our own limiter does.
#[test]
fn a_real_server_with_the_module_says_the_same() {
    let Ok(module) = std::env::var("REDIS_CELL") else {
        println!("skipped: set REDIS_CELL to the path of the module redis-cell");
        return;
    };
    let Some(mut server) = Server::start(Some(&module)) else { return };
    // So slow that no cell comes back during the test.
    let quota = Quota::new(5, Duration::from_hours(24)).unwrap().with_burst(4).unwrap();
    let mut theirs = RedisLimiter::new(server.connect(), &quota).unwrap();
    let ours = KeyedLimiter::builder(quota, 100).clock(ManualClock::default()).build().unwrap();
    for key in ["ada", "grace"] {
        for cells in [1, 2, 2, 1, 1] {
            let said = theirs.check_n(key.as_bytes(), cells).unwrap();
            let decision = ours.check_n(key, cells);
            assert_eq!(said.admitted, decision.is_admitted(), "{cells} of {key}: {said:?}");
            let left = ours.standing_at(Timestamp::ZERO, key).remaining();
            assert_eq!((said.burst, said.remaining), (4, left), "{cells} of {key}: {said:?}");
            if let Decision::Denied(denial) = decision {
                let sooner = denial.retry_after().saturating_sub(said.retry_after.unwrap());
                assert!(sooner <= Duration::from_mins(1), "{said:?} for {denial:?}");
            }
        }
    }
}
