//! Real processes on loopback: killed, stopped, restarted, cut off, wiped, while clients keep
//! asking; what the clients saw must be linearizable.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use env::random::{Random, SeededRandom};
use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::check;
use harness::check::model::{MapCell, MapOp};
use kv::{Client, ClientError, Consistency};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::proxy::Proxy;

/// How long faults last.
const FAULTS: Duration = Duration::from_secs(15);

/// Clients, each with one request at a time.
const CLIENTS: u64 = 6;

/// Clocks that differ by as much as leases bear: while one server counts ten ticks, the slowest
/// counts seven and a half.
const TICKS_MS: [&str; 5] = ["15", "17", "20", "15", "15"];

const KEYS: [&str; 3] = ["a", "b", "c/d"];

/// The servers of a cluster as child processes, which end with it.
pub(super) struct Cluster {
    pub(super) folder: tempfile::TempDir,
    /// Ports of each server: for clients, for peers.
    ports: Vec<(u16, u16)>,
    /// What stands before the port for peers; it can be cut.
    pub(super) proxies: Vec<Proxy>,
    pub(super) children: Vec<Option<Child>>,
}

/// Ports that are free now, and mostly still when they are used.
fn free_ports(count: usize) -> Vec<(u16, u16)> {
    let held: Vec<_> =
        (0..2 * count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port is free")).collect();
    let port = |at: usize| held[at].local_addr().expect("it is bound").port();
    (0..count).map(|at| (port(2 * at), port(2 * at + 1))).collect()
}

impl Cluster {
    /// Three servers that found a cluster, and room for two that join.
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let (ports, mut proxies) = (free_ports(5), Vec::new());
        for (_, raft) in &ports {
            proxies.push(Proxy::new(*raft).await);
        }
        let children = (0..5).map(|_| None).collect();
        let mut cluster = Self { folder, ports, proxies, children };
        (1..=3).for_each(|id| cluster.start(id, false));
        cluster
    }

    pub(super) fn address(&self, id: usize) -> String {
        let (http, raft) = (self.ports[id - 1].0, self.proxies[id - 1].port());
        format!("127.0.0.1:{http}:{raft}")
    }

    pub(super) fn http(&self, ids: &[usize]) -> Vec<String> {
        ids.iter().map(|id| format!("127.0.0.1:{}", self.ports[id - 1].0)).collect()
    }

    pub(super) fn dir(&self, id: usize) -> PathBuf {
        self.folder.path().join(format!("server-{id}"))
    }

    pub(super) fn command(&self, id: usize, join: bool) -> Command {
        let mut peers: Vec<_> = (1..=3).map(|id| format!("{id}={}", self.address(id))).collect();
        if id > 3 {
            peers.push(format!("{id}={}", self.address(id)));
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata-kv"));
        command.args(["serve", "--id", &id.to_string(), "--peers", &peers.join(",")]);
        command
            .args([
                "--tick-ms",
                TICKS_MS[id - 1],
                "--compact-mb",
                "1",
                "--keep-entries",
                "5",
                "--dir",
            ])
            .arg(self.dir(id));
        command.args(["--listen-raft", &format!("127.0.0.1:{}", self.ports[id - 1].1)]);
        if join {
            command.arg("--join");
        }
        command.stdout(Stdio::null());
        command
    }

    pub(super) fn start(&mut self, id: usize, join: bool) {
        let child = self.command(id, join).spawn().expect("the program is there");
        self.children[id - 1] = Some(child);
    }

    pub(super) fn signal(&self, id: usize, signal: Signal) {
        if let Some(child) = &self.children[id - 1] {
            // Of a child that has ended and was not waited for: it does no harm.
            kill_process(Pid::from_child(child), signal).ok();
        }
    }

    /// Ends a server by `kill -9`, also one that is stopped.
    pub(super) fn kill(&mut self, id: usize) {
        if let Some(mut child) = self.children[id - 1].take() {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    pub(super) fn client(&self, patience: u64) -> Client {
        Client::new(self.http(&[1, 2, 3]), Duration::from_secs(patience))
    }

    /// Who leads, as a majority sees it; waits until there is one.
    pub(super) async fn leader(&self) -> usize {
        let mut client = self.client(20);
        for _ in 0..200 {
            let status = client.call("GET", "/status", None).await.expect("a server answers");
            if let Some(id) = status["leader"].as_u64() {
                return usize::try_from(id).expect("it is small");
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody leads");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (1..=5).for_each(|id| self.kill(id));
    }
}

/// Values are numbers, so that the checker's model of a map can judge them.
fn number(value: Option<String>) -> Option<u64> {
    value.map(|text| text.parse().expect("the clients write numbers"))
}

async fn perform(
    client: &mut Client,
    op: &MapOp<usize>,
    consistency: Consistency,
) -> Result<Option<u64>, ClientError> {
    let answer = match op {
        MapOp::Get(key) => client.get(KEYS[*key], consistency).await?,
        MapOp::Insert(key, value) => client.put(KEYS[*key], &value.to_string()).await?,
        MapOp::Remove(key) => client.delete(KEYS[*key]).await?,
        MapOp::CompareExchange(key, expected, value) => {
            let (expected, value) = (expected.to_string(), value.to_string());
            client.swap(KEYS[*key], Some(&expected), Some(&value)).await?
        }
        MapOp::Add(..) => unreachable!("no client adds"),
    };
    Ok(number(answer))
}

/// One client: it asks until it is told to stop, and records what it saw. What it got no answer to
/// stays open for ever: it may have happened at any time.
async fn ask(
    mut client: Client,
    mut log: Log<MapOp<usize>, Option<u64>>,
    seed: u64,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) -> Log<MapOp<usize>, Option<u64>> {
    let mut random = SeededRandom::new(seed);
    let (mut written, mut seen) = (seed << 32, 0);
    while !stop.load(Ordering::Relaxed) {
        let key = usize::try_from(random.below(KEYS.len() as u64)).expect("it is small");
        written += 1;
        let op = match random.below(10) {
            0..4 => MapOp::Get(key),
            4..7 => MapOp::Insert(key, written),
            7 => MapOp::Remove(key),
            _ => MapOp::CompareExchange(key, seen, written),
        };
        let reads = [Consistency::Linearizable, Consistency::Lease];
        let consistency = reads[usize::from(random.below(2) == 0)];
        let invocation = log.invoke(op.clone());
        match perform(&mut client, &op, consistency).await {
            Ok(answer) => {
                seen = answer.unwrap_or(seen);
                log.respond(invocation, answer);
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(ClientError::TimedOut { .. }) => drop(invocation),
            Err(refused) => panic!("{op:?}: {refused}"),
        }
        sleep(Duration::from_millis(random.below(8))).await;
    }
    log
}

/// Kills, stops and restarts servers by chance, at most one at a time, and all of them at the end.
async fn strike(cluster: &mut Cluster, seed: u64) -> [u32; 5] {
    let mut random = SeededRandom::new(seed);
    let mut struck = [0; 5];
    let end = Instant::now() + FAULTS;
    for turn in 0.. {
        if Instant::now() > end {
            break;
        }
        sleep(Duration::from_millis(300 + random.below(500))).await;
        // The leader half of the time: that shows more.
        let victim = match random.below(2) {
            0 => cluster.leader().await,
            _ => usize::try_from(1 + random.below(3)).expect("it is small"),
        };
        let pause = Duration::from_millis(200 + random.below(900));
        match turn % 4 {
            0 => {
                cluster.kill(victim);
                sleep(pause).await;
                cluster.start(victim, false);
                struck[0] += 1;
            }
            1 => {
                cluster.signal(victim, Signal::STOP);
                sleep(pause).await;
                cluster.signal(victim, Signal::CONT);
                struck[1] += 1;
            }
            2 => {
                // It can speak and hears nobody: a leader must notice that it leads no more.
                cluster.proxies[victim - 1].cut(true);
                sleep(pause).await;
                cluster.proxies[victim - 1].cut(false);
                struck[3] += 1;
            }
            _ => {
                // A leader that sleeps through an election, and is killed when it wakes up.
                cluster.signal(victim, Signal::STOP);
                sleep(pause).await;
                cluster.signal(victim, Signal::CONT);
                sleep(Duration::from_millis(random.below(5))).await;
                cluster.kill(victim);
                cluster.start(victim, false);
                struck[2] += 1;
            }
        }
    }
    (1..=3).for_each(|id| cluster.kill(id));
    (1..=3).for_each(|id| cluster.start(id, false));
    struck[4] += 1;
    struck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_under_kills_and_pauses_are_linearizable() {
    let mut cluster = Cluster::new().await;
    cluster.client(30).put("begun", "1").await.expect("the cluster comes up");
    let recorder = Recorder::new();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|seed| {
            // Some give up early, so that writes with an unknown end are part of the history.
            let client = cluster.client(if seed % 3 == 0 { 1 } else { 20 });
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(ask(client, recorder.log(), seed, stop, answered))
        })
        .collect();
    let struck = strike(&mut cluster, 7).await;
    let before = answered.load(Ordering::Relaxed);
    for _ in 0..300 {
        if answered.load(Ordering::Relaxed) > before + 200 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut logs = Vec::new();
    for client in clients {
        logs.push(client.await.expect("a client does not panic"));
    }
    let history = History::from_logs(logs);
    let total = answered.load(Ordering::Relaxed);
    println!(
        "{} operations, {total} answered; kills, pauses, both, cuts, kills of all: {struck:?}",
        history.count()
    );
    assert!(total > before + 200, "it goes on after the faults: {before}, then {total}");
    assert!(total > 500 && struck.iter().all(|count| *count > 0), "{total}, {struck:?}");
    let verdict = check(&MapCell::default(), &history);
    assert!(verdict.is_linearizable(), "{verdict}");
}

/// A leader that stands still while another one is elected, and hears of nobody afterwards, has
/// only its clock to tell it that its lease is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_reads_nothing_by_its_lease() {
    let cluster = Cluster::new().await;
    cluster.client(30).put("a", "1").await.expect("the cluster comes up");
    for round in 2..5 {
        let old = cluster.leader().await;
        let mut asleep = Client::new(cluster.http(&[old]), Duration::from_millis(300));
        let read = asleep.get("a", Consistency::Lease).await;
        assert_eq!(read, Ok(Some((round - 1).to_string())), "it has a lease");
        cluster.proxies[old - 1].cut(true);
        cluster.signal(old, Signal::STOP);
        let others: Vec<_> = (1..=3).filter(|id| *id != old).collect();
        let mut awake = Client::new(cluster.http(&others), Duration::from_secs(30));
        awake.put("a", &round.to_string()).await.expect("two of three go on");
        cluster.signal(old, Signal::CONT);
        for _ in 0..5 {
            let read = asleep.get("a", Consistency::Lease).await;
            assert!(
                !matches!(read, Ok(Some(value)) if value != round.to_string()),
                "round {round}"
            );
        }
        cluster.proxies[old - 1].cut(false);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_goes_on_where_a_majority_is_lost() {
    let mut cluster = Cluster::new().await;
    let mut client = cluster.client(30);
    client.put("kept", "it").await.expect("the cluster comes up");
    // Whoever leads has everything.
    let survivor = cluster.leader().await;
    let others: Vec<usize> = (1..=3).filter(|id| *id != survivor).collect();
    let give_up = others.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let recover = |cluster: &Cluster, give_up: &str, number: &str| {
        let peers: Vec<_> = (1..=3).map(|id| format!("{id}={}", cluster.address(id))).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_strata-kv"));
        command.args(["recover", "--id", &survivor.to_string(), "--peers", &peers.join(",")]);
        command.args(["--give-up", give_up, "--new-cluster", number, "--dir"]);
        let done = command.arg(cluster.dir(survivor)).output().expect("the program is there");
        let words = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&words).into_owned())
    };
    let (done, words) = recover(&cluster, &give_up, "2");
    assert!(!done && words.contains("locked"), "it runs: {words}");
    cluster.kill(survivor);
    let (done, words) = recover(&cluster, &give_up, "2");
    assert!(!done && (words.contains("majority") || words.contains("later log")), "{words}");
    for id in &others {
        cluster.kill(*id);
    }
    let (done, words) = recover(&cluster, &others[0].to_string(), "2");
    assert!(!done && words.contains("name exactly all others"), "{words}");
    let (done, words) = recover(&cluster, &give_up, "1");
    assert!(!done && words.contains("another one"), "{words}");
    let (done, words) = recover(&cluster, &give_up, "2");
    assert!(done && words.starts_with("UNSAFE RECOVERY"), "{words}");

    let refused = cluster.command(survivor, false).stderr(Stdio::piped()).output();
    let words = refused.expect("the program is there").stderr;
    let words = String::from_utf8_lossy(&words).into_owned();
    assert!(words.contains("--cluster 2"), "{words}");
    // An old member that comes back by mistake is not heard.
    cluster.start(others[0], false);
    let again = cluster.command(survivor, false).args(["--cluster", "2"]).spawn();
    cluster.children[survivor - 1] = Some(again.expect("the program is there"));
    let mut alone = Client::new(cluster.http(&[survivor]), Duration::from_secs(20));
    assert_eq!(alone.get("kept", Consistency::Linearizable).await, Ok(Some("it".to_owned())));
    assert_eq!(alone.put("after", "it").await, Ok(None));
    let status = alone.call("GET", "/status", None).await.expect("it answers");
    assert_eq!(status["voters"], json!([survivor]));
}

/// Whatever comes in at the port for clients: the server answers or closes, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_none_do_no_harm() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let cluster = Cluster::new().await;
    let mut client = cluster.client(30);
    client.put("before", "it").await.expect("the cluster comes up");
    let server = cluster.http(&[cluster.leader().await]).remove(0);
    let good = b"POST /cas/key HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n\
                 {\"expected\": \"1\", \"value\": [], \"session\": -1}";
    let mut random = SeededRandom::new(9);
    for _ in 0..400 {
        let mut bytes = good.to_vec();
        for _ in 0..=random.below(6) {
            let at = usize::try_from(random.below(bytes.len() as u64)).expect("it is small");
            bytes[at] = random.next_u64().to_le_bytes()[0];
        }
        let mut stream = tokio::net::TcpStream::connect(&server).await.expect("it listens");
        // It may close the connection before it has heard all.
        stream.write_all(&bytes).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("it answers").ok();
        let text = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 "), "{text}");
        assert!(!text.starts_with("HTTP/1.1 500"), "{text}");
    }
    let nested = "[".repeat(100_000);
    let mut other = Client::new(vec![server], Duration::from_secs(5));
    let body = json!({ "value": nested });
    assert!(other.call("PUT", "/kv/deep", Some(&body)).await.is_ok(), "text is text");
    let long = format!("/kv/{}", "k".repeat(5_000));
    for (method, body) in [("GET", None), ("PUT", Some(&body))] {
        let answer = other.call(method, &long, body).await;
        let is_refused = matches!(&answer, Err(ClientError::Refused { reason })
            if reason.starts_with("the key has 5000 bytes"));
        assert!(is_refused, "{method}: {answer:?}");
    }
    let half = json!({ "value": "1", "session": 1 });
    let answer = other.call("PUT", "/kv/half", Some(&half)).await;
    assert!(matches!(answer, Err(ClientError::Refused { .. })), "half a place: {answer:?}");
    for (id, address) in [(9, "a\r\nx: y:1:2"), (0, "127.0.0.1:1:2")] {
        let body = json!({ "id": id, "address": address });
        let answer = other.call("POST", "/announce", Some(&body)).await;
        assert!(matches!(answer, Err(ClientError::Refused { .. })), "{id} {address:?}: {answer:?}");
    }
    let both = other.call("GET", "/kv/before?lease&stale", None).await;
    assert!(matches!(both, Err(ClientError::Refused { .. })), "which is it? {both:?}");
    assert_eq!(
        client.get("half", Consistency::Linearizable).await,
        Ok(None),
        "and it is not written"
    );
    assert_eq!(client.get("before", Consistency::Linearizable).await, Ok(Some("it".to_owned())));
}
