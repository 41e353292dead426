//! What a layer adds to a service that echoes a body: called as a function, and by hyper over the
//! loopback network.
//!
//! The floor is the service without a layer. What the others add to it, in nanoseconds, is the
//! metric `p99_over_floor`. A request over the network takes a hundred times as long as a layer
//! does, and two rounds of it differ by more: there the line shows that nothing else is wrong,
//! and `layer/call` what the layer costs.

use std::io::{Read, Write};
use std::marker::PhantomData;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use harness::contract::Unsupported;
use harness::duel::{Contender, Line, Subject};
use harness::workload::Size;
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tower_service::Service;

use super::{BUILD, OURS};
use crate::adapters::echo::{Echo, Ours, Plain, TowerGovernor, TowerLimit};

/// What is echoed.
const BODY: &str = "0123456789abcdef";

/// Calls a second while latency is measured: a tenth of what the slowest can answer.
const CALLS_OFFERED: u64 = 50_000;

/// Requests a second over the network: a third of what one connection can carry.
const REQUESTS_OFFERED: u64 = 5_000;

/// Where calls without a network say that they come from.
const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 4_711);

/// The lines.
pub(super) fn lines() -> [Line; 2] {
    [
        Line::new(BUILD, "layer/call", 1, called()).with_latency(CALLS_OFFERED),
        // The server's thread works as much as the client's.
        Line::new(BUILD, "layer/loopback", 1, served())
            .with_latency(REQUESTS_OFFERED)
            .separate()
            .costly()
            .long_parts(),
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
struct Called<E>(Mutex<(Runtime, Router)>, PhantomData<fn() -> E>);

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
                std::future::poll_fn(|context| {
                    <Router as Service<Request<Body>>>::poll_ready(service, context)
                })
                .await
                .expect("an echo is always ready");
                let response = service.call(request).await.expect("an echo does not fail");
                served += u64::from(response.status().is_success());
            }
            served
        })
    }
}

/// A service behind hyper, in a thread of its own, and a connection to it.
struct Served<E> {
    stream: Mutex<TcpStream>,
    /// The server's thread, which ends once the sender is gone; none while it is dropped.
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _echo: PhantomData<fn() -> E>,
}

impl<E> Drop for Served<E> {
    fn drop(&mut self) {
        if let Some((open, thread)) = self.server.take() {
            drop(open);
            // What panicked has said so.
            thread.join().ok();
        }
    }
}

impl<E: Echo> Served<E> {
    fn make(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
        let no_network = |error| Unsupported(format!("no loopback network: {error}"));
        let (open, closed) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || serve::<E>(&tell, closed));
        let address = told.recv().expect("the server says where it is or why it is not")?;
        let stream = TcpStream::connect(address).map_err(no_network)?;
        stream.set_nodelay(true).map_err(no_network)?;
        let server = Some((open, thread));
        Ok(Box::new(Self { stream: Mutex::new(stream), server, _echo: PhantomData }))
    }
}

/// Serves until `closed`, and tells first where.
fn serve<E: Echo>(
    tell: &mpsc::Sender<Result<SocketAddr, Unsupported>>,
    closed: oneshot::Receiver<()>,
) {
    let listen = async || {
        let service = E::service()?.into_make_service_with_connect_info::<SocketAddr>();
        let no_port = |error| Unsupported(format!("no port is free: {error}"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        tokio::spawn(async move { axum::serve(listener, service).await });
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

impl<E: Echo> Subject for Served<E> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let (mut stream, mut buffer) = (self.stream.lock(), [0; 4_096]);
        let length = BODY.len();
        let request =
            format!("POST / HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n{BODY}");
        (0..operations).map(|_| u64::from(ask(&mut stream, &request, &mut buffer))).sum()
    }
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
