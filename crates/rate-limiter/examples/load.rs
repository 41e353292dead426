//! Asks an HTTP server for a page at planned moments, from several addresses, and says what it got.
//!
//! ```text
//! cargo run --release -p rate-limiter --example load -- 127.0.0.1:8080 5 10,20,100
//! ```
//!
//! The arguments are the server, seconds, and requests a second of each client. Client number `n`
//! comes from `127.0.0.n`, so that a server on the loopback network takes it for one of its own.
//!
//! # Open loop
//!
//! Each request has a moment at which it is due, whatever became of those before it. Its latency
//! counts from that moment: a server that stalls for a second has delayed all that was due in that
//! second, and a generator that waited for the answer first would never have noticed. What the
//! generator itself is late, mostly some ten microseconds of sleep, is in the figures too.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it measured")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use hdrhistogram::Histogram;
use rate_limiter::{Clock, MonotonicClock, Timestamp};

/// A longer wait counts as this.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// As many clients as the last part of an address has numbers for.
const CLIENTS_MAX: u8 = 254;

/// What one client asks for.
#[derive(Clone, Copy, Debug)]
struct Plan {
    server: SocketAddr,
    client: Ipv4Addr,
    per_second: u32,
    requests: u32,
}

/// What one client got.
#[derive(Debug)]
struct Got {
    admitted: u64,
    denied: u64,
    other: u64,
    /// Nanoseconds from the moment a request was due.
    latency: Histogram<u64>,
}

impl Got {
    fn nothing() -> Self {
        let bounds = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3);
        let latency = bounds.expect("a minute and three digits are legal bounds");
        Self { admitted: 0, denied: 0, other: 0, latency }
    }

    fn count(&mut self, status: u16, latency: Duration) {
        match status {
            200 => self.admitted += 1,
            429 => self.denied += 1,
            _ => self.other += 1,
        }
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(nanos);
    }

    fn add(&mut self, other: &Self) {
        self.admitted += other.admitted;
        self.denied += other.denied;
        self.other += other.other;
        self.latency.add(&other.latency).expect("both have the same bounds");
    }

    fn row(&self, who: &str, offered: u64) {
        let at = |quantile| self.latency.value_at_quantile(quantile) / 1_000;
        let Self { admitted, denied, other, .. } = self;
        println!(
            "{who:<12}{offered:>9}{admitted:>10}{denied:>8}{other:>7}{:>10}{:>10}{:>10}",
            at(0.5),
            at(0.99),
            at(0.999)
        );
    }
}

/// A connection that comes from `client`.
fn connect(plan: &Plan) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind((plan.client, 0).into())?;
        socket.connect(plan.server).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one response and returns its status.
fn response(reader: &mut impl BufRead) -> io::Result<u16> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(|| invalid("a response without a status"))?;
    let mut body = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                let length = value.trim().parse();
                body = length.map_err(|_| invalid("a content-length that is no number"))?;
            }
            Some(_) => {}
            None => break,
        }
    }
    io::copy(&mut reader.take(body), &mut io::sink())?;
    Ok(status)
}

/// Sends every request when it is due, or as soon after as the one before it was answered.
fn client(plan: &Plan, clock: MonotonicClock, start: Timestamp) -> io::Result<Got> {
    let mut stream = connect(plan)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", plan.server);
    let mut got = Got::nothing();
    for number in 0..plan.requests {
        let due = start + Duration::from_secs(1) * number / plan.per_second;
        clock.sleep(due.saturating_since(clock.now()));
        stream.write_all(request.as_bytes())?;
        let status = response(&mut reader)?;
        got.count(status, clock.now().saturating_since(due));
    }
    Ok(got)
}

/// Asks an HTTP server for a page at planned moments, from several addresses.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server.
    #[arg(default_value = "127.0.0.1:8080")]
    server: SocketAddr,
    /// For how long.
    #[arg(default_value_t = 5, value_parser = value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Requests a second of each client.
    #[arg(
        default_value = "10,20,100",
        value_delimiter = ',',
        value_parser = value_parser!(u32).range(1..=100_000)
    )]
    rates: Vec<u32>,
}

impl Arguments {
    fn plans(&self) -> impl Iterator<Item = Plan> {
        (1..=CLIENTS_MAX).zip(&self.rates).map(|(number, &per_second)| Plan {
            server: self.server,
            client: Ipv4Addr::new(127, 0, 0, number),
            per_second,
            requests: per_second * self.seconds,
        })
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.rates.len() > CLIENTS_MAX.into() {
        eprintln!("{} clients: at most {CLIENTS_MAX} have an address", arguments.rates.len());
        return ExitCode::from(2);
    }
    let plans: Vec<_> = arguments.plans().collect();
    match run(&plans) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", plans[0].server);
            ExitCode::FAILURE
        }
    }
}

fn run(plans: &[Plan]) -> io::Result<()> {
    let clock = MonotonicClock::new();
    // Time for all to connect.
    let start = clock.now() + Duration::from_millis(100);
    let got: Vec<io::Result<Got>> = thread::scope(|scope| {
        let workers: Vec<_> =
            plans.iter().map(|plan| scope.spawn(move || client(plan, clock, start))).collect();
        workers.into_iter().map(|it| it.join().expect("a client does not panic")).collect()
    });
    println!(
        "{:<12}{:>9}{:>10}{:>8}{:>7}{:>10}{:>10}{:>10}",
        "client", "offered", "admitted", "denied", "other", "p50 us", "p99 us", "p999 us"
    );
    let mut all = Got::nothing();
    for (plan, got) in plans.iter().zip(got) {
        let got = got?;
        got.row(&plan.client.to_string(), plan.requests.into());
        all.add(&got);
    }
    all.row("all", plans.iter().map(|plan| u64::from(plan.requests)).sum());
    Ok(())
}
