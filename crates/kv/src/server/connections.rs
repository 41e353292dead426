//! Connections of clients: so many at once, each as long as it is answered.
//!
//! A client that sends a byte now and then, or takes none of an answer, would keep its connection
//! for ever, and enough of them all descriptors of the process, which the log needs too. Only what
//! the server writes counts: after [`PATIENCE`] without that a connection is closed.
//!
//! # What this module does not do
//!
//! It tells no client from another: enough of them keep others waiting, and nothing else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Most connections; who comes then waits.
const CONNECTIONS_MAX: usize = 512;

/// How long nothing may be written to a client: longer than a newcomer may take to catch up.
const PATIENCE: Duration = Duration::from_mins(3);

/// Takes connections while there are places.
pub(super) struct Connections {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Connections {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self::with_limits(listener, CONNECTIONS_MAX, PATIENCE)
    }

    fn with_limits(listener: TcpListener, most: usize, patience: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(most)), patience }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let places = Arc::clone(&self.places);
        let place = places.acquire_owned().await.expect("nobody closes it");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let (patience, silence) = (self.patience, Box::pin(sleep(self.patience)));
        (Connection { stream, patience, silence, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that is closed once nothing was written for too long.
pub(super) struct Connection {
    stream: TcpStream,
    patience: Duration,
    /// Done once that is so.
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    /// What is not ready is an error once the connection is silent for too long.
    fn unless_silent<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_pending() && self.silence.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }

    fn wrote(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if matches!(outcome, Poll::Ready(Ok(1..))) {
            let until = Instant::now() + self.patience;
            self.silence.as_mut().reset(until);
        }
        self.unless_silent(outcome, context)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, into);
        self.unless_silent(outcome, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    /// Serves `/`, and a large answer; gives where.
    async fn serve(most: usize, patience: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let large = async || vec![0_u8; 64 << 20];
        let router = Router::new().route("/", get("here")).route("/large", get(large));
        let connections = Connections::with_limits(listener, most, patience);
        tokio::spawn(async move { axum::serve(connections, router).await });
        address
    }

    async fn connect(to: SocketAddr) -> TcpStream {
        TcpStream::connect(to).await.expect("it listens")
    }

    async fn ask(stream: &mut TcpStream) -> Option<String> {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
        let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"here") {
            let len = stream.read(&mut piece).await.ok().filter(|len| *len > 0)?;
            answer.extend_from_slice(&piece[..len]);
        }
        String::from_utf8(answer).ok()
    }

    #[tokio::test]
    async fn who_sends_a_byte_now_and_then_is_not_waited_for() {
        let address = serve(8, Duration::from_millis(300)).await;
        let mut slow = connect(address).await;
        let begun = Instant::now();
        let dribble = async {
            for byte in b"GET / HTTP/1.1\r\nHost: ".iter().chain(std::iter::repeat(&b'x')) {
                if slow.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(5), dribble).await.expect("it is closed");
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        // Who is answered again and again may stay.
        let mut quick = connect(address).await;
        for _ in 0..6 {
            assert!(ask(&mut quick).await.is_some(), "after {:?}", begun.elapsed());
            sleep(Duration::from_millis(150)).await;
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_is_not_waited_for() {
        let address = serve(1, Duration::from_millis(300)).await;
        let mut stalled = connect(address).await;
        stalled.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("it listens");
        // There is one place, which is free once the first client is given up.
        let mut next = connect(address).await;
        let answer = timeout(Duration::from_secs(10), ask(&mut next)).await;
        assert!(answer.expect("there is a place").is_some());
    }

    #[tokio::test]
    async fn more_than_there_are_places_for_wait() {
        let address = serve(2, Duration::from_mins(1)).await;
        let mut held = [connect(address).await, connect(address).await];
        for stream in &mut held {
            assert!(ask(stream).await.is_some());
        }
        let mut third = connect(address).await;
        let asked = timeout(Duration::from_millis(200), ask(&mut third)).await;
        assert!(asked.is_err(), "there is no place: {asked:?}");
        drop(held);
        let mut third = connect(address).await;
        let asked = timeout(Duration::from_secs(5), ask(&mut third)).await;
        assert!(asked.expect("there is one").is_some());
    }
}
