//! What a layer adds to a service that echoes a body: called as a function, and by hyper over the
//! loopback network.
//!
//! The floor is the service without a layer. What the others add to it, in nanoseconds, is the
//! metric `p99_over_floor`.
//!
//! A request over the network takes fifty times as long as a layer does, and two processes differ
//! by more than that, even two rounds of one. So each server has both services, a client asks it
//! for one and the other in a random order, and what the layer adds is the difference of the two
//! distributions: what disturbs one disturbs the other. Client and server share a core, which so is
//! never idle: to wake another one up takes longer than all that is measured. The floor beside the
//! floor tells how much of a difference is chance.

use std::io::{Read, Write};
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream};
use std::sync::{OnceLock, mpsc};
use std::thread::{self, JoinHandle};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use env::clock::{Clock, FastClock};
use harness::contract::Unsupported;
use harness::duel::{Contender, LatencyLog, Line, OwnFigures, Subject};
use harness::rng::SplitMix64;
use harness::workload::Size;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tower::{Service, ServiceExt};

use super::{BUILD, OURS};
use crate::adapters::echo::{Echo, Echoing, Ours, Plain, TowerGovernor, TowerLimit, echo};

/// What is echoed.
const BODY: &str = "0123456789abcdef";

/// Calls a second while latency is measured: a tenth of what the slowest can answer.
const CALLS_OFFERED: u64 = 50_000;

/// Where the service without a layer is, in a server that has both.
const PLAIN: &str = "/plain";

/// Where calls without a network say that they come from.
const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 4_711);

/// The lines.
pub(super) fn lines() -> [Line; 2] {
    [
        Line::new(BUILD, "layer/call", 1, called()).with_latency(CALLS_OFFERED),
        // The server's thread works as much as the client's.
        Line::new(BUILD, "layer/loopback", 1, served()).separate().costly().long_parts(),
    ]
}

fn called() -> Vec<Contender> {
    vec![
        contender::<Ours>(OURS, Called::<Ours>::make),
        contender::<TowerGovernor>("0.8.0", Called::<TowerGovernor>::make),
        contender::<TowerLimit>("0.5.3", Called::<TowerLimit>::make),
        contender::<Plain>(OURS, Called::<Plain>::make),
    ]
}

fn served() -> Vec<Contender> {
    vec![
        contender::<Ours>(OURS, Served::<Ours>::make),
        contender::<TowerGovernor>("0.8.0", Served::<TowerGovernor>::make),
        contender::<TowerLimit>("0.5.3", Served::<TowerLimit>::make),
        contender::<Plain>(OURS, Served::<Plain>::make),
    ]
}

fn contender<E: Echo>(version: &'static str, make: harness::duel::Make) -> Contender {
    Contender { name: E::NAME, version, ours: E::NAME == BUILD, make }
}

/// A runtime of one thread.
fn runtime() -> Result<Runtime, Unsupported> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Unsupported(format!("a runtime cannot be made: {error}")))
}

/// A service that is called as a function.
struct Called<E>(Mutex<(Runtime, Echoing)>, PhantomData<fn() -> E>);

impl<E: Echo> Called<E> {
    fn make(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
        let runtime = runtime()?;
        let service = runtime.block_on(async { E::service() })?;
        Ok(Box::new(Self(Mutex::new((runtime, service)), PhantomData)))
    }
}

impl<E: Echo> Subject for Called<E> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let (runtime, service) = &mut *self.0.lock();
        let peer = ConnectInfo(SocketAddr::from(CLIENT));
        runtime.block_on(async {
            let mut served = 0;
            for _ in 0..operations {
                let request = Request::post("/").extension(peer).body(Body::from(BODY));
                let request: Request<Body> = request.expect("the request is legal");
                let service = service.ready().await.expect("an echo is always ready");
                let response = service.call(request).await.expect("an echo does not fail");
                served += u64::from(response.status().is_success());
            }
            served
        })
    }
}

/// A service and the floor behind hyper, and a connection to both.
struct Served<E> {
    /// Made by the first pass.
    server: OnceLock<Server>,
    /// How long requests took: to the service, and to the floor.
    latencies: [LatencyLog; 2],
    _echo: PhantomData<fn() -> E>,
}

impl<E: Echo> Served<E> {
    fn make(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
        // Who cannot take part says so here; the first pass makes it anew.
        drop(runtime()?.block_on(async { E::service() })?);
        let latencies = Default::default();
        Ok(Box::new(Self { server: OnceLock::new(), latencies, _echo: PhantomData }))
    }
}

/// A server in a thread of its own, and a connection to it.
struct Server {
    stream: Mutex<TcpStream>,
    /// The thread, which ends once the sender is gone; none while it is dropped.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((open, thread)) = self.running.take() {
            drop(open);
            // What panicked has said so.
            thread.join().ok();
        }
    }
}

impl Server {
    /// Its thread runs where the calling one does.
    fn start<E: Echo>() -> Result<Self, Unsupported> {
        let no_network = |error| Unsupported(format!("no loopback network: {error}"));
        let (open, closed) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || serve::<E>(&tell, closed));
        let address = told.recv().expect("the server says where it is or why it is not")?;
        let stream = TcpStream::connect(address).map_err(no_network)?;
        stream.set_nodelay(true).map_err(no_network)?;
        Ok(Self { stream: Mutex::new(stream), running: Some((open, thread)) })
    }
}

/// Serves until `closed`, and tells first where.
fn serve<E: Echo>(
    tell: &mpsc::Sender<Result<SocketAddr, Unsupported>>,
    closed: oneshot::Receiver<()>,
) {
    let listen = async || {
        let service = E::service()?;
        let no_port = |error| Unsupported(format!("no port is free: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        tokio::spawn(accept(listener, service, echo()));
        Ok(address)
    };
    let told = match runtime() {
        Ok(runtime) => runtime.block_on(async {
            let sent = tell.send(listen().await);
            // An error says that the subject is gone, which is what is waited for.
            let _gone = closed.await;
            sent
        }),
        Err(error) => tell.send(Err(error)),
    };
    told.expect("the subject waits to be told");
}

/// Serves whoever connects, until the runtime ends.
async fn accept(listener: TcpListener, limited: Echoing, plain: Echoing) {
    while let Ok((stream, peer)) = listener.accept().await {
        let (limited, plain) = (limited.clone(), plain.clone());
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let asked = if request.uri().path() == PLAIN { &plain } else { &limited };
            asked.clone().oneshot(request.map(Body::new))
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

impl<E: Echo> Subject for Served<E> {
    /// An operation is a request to the service and one to the floor, in either order.
    fn run(&self, _: usize, round: u64, operations: u64) -> u64 {
        let server = self.server.get_or_init(|| match Server::start::<E>() {
            Ok(server) => server,
            Err(Unsupported(why)) => panic!("{why}"),
        });
        let (mut stream, mut buffer) = (server.stream.lock(), [0; 4_096]);
        let mut rng = SplitMix64::new(round);
        let requests = ["/", PLAIN].map(request);
        let clock = FastClock::new();
        let mut echoed = 0;
        for _ in 0..operations {
            let first = usize::from(rng.chance(1, 2));
            for which in [first, 1 - first] {
                let start = clock.now();
                echoed += u64::from(ask(&mut stream, &requests[which], &mut buffer));
                let took = clock.now().as_nanos() - start.as_nanos();
                self.latencies[which].add([took]);
            }
        }
        echoed
    }

    fn own_figures(&self) -> OwnFigures {
        let [latency, floor] = self.latencies.each_ref().map(LatencyLog::take);
        OwnFigures { latency, floor, ..OwnFigures::default() }
    }
}

/// A request to echo the body, as it goes over the wire.
fn request(path: &str) -> String {
    let length = BODY.len();
    format!("POST {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n{BODY}")
}

/// One request; whether the answer is the echo.
fn ask(stream: &mut TcpStream, request: &str, buffer: &mut [u8]) -> bool {
    stream.write_all(request.as_bytes()).expect("the server listens");
    let mut length = 0;
    while !buffer[..length].ends_with(BODY.as_bytes()) {
        let read = stream.read(&mut buffer[length..]).expect("the server answers");
        assert!(
            read > 0,
            "the server went away: {:?}",
            buffer[..length].escape_ascii().to_string()
        );
        length += read;
    }
    buffer.starts_with(b"HTTP/1.1 200")
}
