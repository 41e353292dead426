//! What the tower layer adds to an echo over hyper, under load.
//!
//! ```text
//! cargo run --release -p benches --example layer
//! ```
//!
//! Two servers that echo a body live in one thread, one with the layer and one without. Another
//! thread asks them in turns, in rounds of half a second at a fixed rate; latency counts from the
//! moment at which a request was due. What the layer adds is the difference of the two rounds of a
//! pair; shown is the median of all pairs, with an interval that holds it 95 times in a hundred.
//!
//! A request over the loopback network takes some ten times as long as what is to be measured, so
//! that the second table leaves the network out: the same two services are called in turns,
//! each call timed by itself. There stands what the layer costs; a reading of the clock costs
//! about as much, and is in both.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::post;
use env::clock::{Clock, FastClock, Timestamp};
use hdrhistogram::Histogram;
use rate_limiter::http::{ClientNet, KeyExtractor, RateLimitLayer};
use rate_limiter::{KeyedLimiter, Quota};
use tower_service::Service;

/// Pairs of rounds.
const PAIRS: u32 = 60;

/// How long a round lasts.
const ROUND: Duration = Duration::from_millis(400);

/// Requests a second over the network.
const PER_SECOND: u32 = 5_000;

/// Calls of a round without a network.
const CALLS: u32 = 100_000;

/// More than any request takes: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// What is echoed.
const BODY: &str = "0123456789abcdef";

/// The address that axum saw the connection come from.
#[derive(Clone, Copy, Debug)]
struct Connected;

impl KeyExtractor for Connected {
    type Key = ClientNet;

    fn key<B>(&self, request: &Request<B>) -> Option<ClientNet> {
        let ConnectInfo(peer): &ConnectInfo<SocketAddr> = request.extensions().get()?;
        Some(peer.ip().into())
    }
}

/// A layer that admits whatever comes, so that both servers do the same work.
fn layer() -> RateLimitLayer<Connected> {
    let quota = Quota::per_second(1_000_000_000).expect("the quota is legal");
    let limiter = KeyedLimiter::new(quota, 100_000).expect("there is memory");
    RateLimitLayer::new(limiter, Connected)
}

/// The two that are compared: without the layer and with it.
fn apps() -> [Router; 2] {
    let echo = || Router::new().route("/", post(|body: Bytes| async { body }));
    [echo(), echo().layer(layer())]
}

/// A server in the runtime of the caller, and where it listens.
async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// Starts both servers in a thread of their own.
fn servers() -> [SocketAddr; 2] {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime can be made").block_on(async {
            let [plain, limited] = apps();
            let addresses = [serve(plain).await, serve(limited).await];
            tell.send(addresses).expect("somebody waits for it");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("the servers start")
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are legal")
}

fn nanos(from: Timestamp, to: Timestamp) -> u64 {
    to.as_nanos().saturating_sub(from.as_nanos())
}

/// One request and its answer.
fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut [u8]) {
    stream.write_all(request).expect("the server listens");
    let mut length = 0;
    while !buffer[..length].ends_with(BODY.as_bytes()) {
        length += stream.read(&mut buffer[length..]).expect("the server answers");
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200"), "the layer admits everything");
}

/// Asks for a round's time, each request when it is due.
fn over_network(stream: &mut TcpStream, clock: FastClock) -> Histogram<u64> {
    let length = BODY.len();
    let request =
        format!("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n{BODY}");
    let (mut latency, mut buffer) = (histogram(), [0; 4_096]);
    let start = clock.now();
    let requests = PER_SECOND * u32::try_from(ROUND.as_millis()).expect("a round is short") / 1_000;
    for number in 0..requests {
        let due = start + Duration::from_secs(1) * number / PER_SECOND;
        while clock.now() < due {
            std::hint::spin_loop();
        }
        ask(stream, request.as_bytes(), &mut buffer);
        latency.saturating_record(nanos(due, clock.now()));
    }
    latency
}

/// The end of a future that never waits.
fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("an echo waits for nothing"),
    }
}

/// Calls a service again and again.
fn in_process(app: &mut Router, clock: FastClock) -> Histogram<u64> {
    let mut latency = histogram();
    let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4_711)));
    for _ in 0..CALLS {
        let request = Request::post("/").extension(peer).body(Body::from(BODY));
        let request: Request<Body> = request.expect("the request is legal");
        let start = clock.now();
        let response = now_or_never(app.call(request)).expect("an echo does not fail");
        latency.saturating_record(nanos(start, clock.now()));
        assert!(response.status().is_success(), "the layer admits everything");
    }
    latency
}

/// Median of `values` and the ranks that hold it 95 times in a hundred.
fn median(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    // Half the standard deviation of a fair coin, twice: the normal approximation.
    let reach = (0.98 * (count as f64).sqrt()).ceil();
    let ranks = (0..count).rev().take_while(|&rank| rank as f64 + reach >= count as f64 / 2.0);
    let low = ranks.last().unwrap_or(0);
    [values[count / 2], values[low], values[count - 1 - low]]
}

/// Measures pairs of rounds, in turns, and prints what the second of the two adds.
fn compare(name: &str, mut round: impl FnMut(usize) -> Histogram<u64>) {
    // The first rounds warm caches and connections.
    round(0);
    round(1);
    let mut pairs = Vec::new();
    for pair in 0..PAIRS {
        let first = usize::from(pair % 2 == 1);
        let (one, other) = (round(first), round(1 - first));
        pairs.push(if first == 0 { [one, other] } else { [other, one] });
    }
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let of = |it: &Histogram<u64>| it.value_at_quantile(quantile) as f64;
        let [plain, ..] = median(pairs.iter().map(|[plain, _]| of(plain)).collect());
        let [limited, ..] = median(pairs.iter().map(|[_, limited]| of(limited)).collect());
        let differences = pairs.iter().map(|[plain, limited]| of(limited) - of(plain));
        let [added, low, high] = median(differences.collect());
        println!("{name:<12}{label:>6}{plain:>10}{limited:>10}{added:>10}  [{low}, {high}]");
    }
}

fn main() {
    let clock = FastClock::new();
    println!("{:<12}{:>6}{:>10}{:>10}{:>10}", "ns", "", "plain", "layer", "added");
    let mut apps = apps();
    compare("in process", |which| in_process(&mut apps[which], clock));
    let mut streams = servers().map(|address| {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("the system can");
        stream
    });
    compare("loopback", |which| over_network(&mut streams[which], clock));
}
