//! What stands before a server's port for peers: it passes bytes on, until it is cut, or has passed
//! as many as it may.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A proxy. Cut, it closes its connections and takes no other.
pub(super) struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    gate: Gate,
    task: JoinHandle<()>,
}

/// Lets bytes through to the server, all of its connections together.
#[derive(Clone)]
struct Gate {
    passed: Arc<AtomicU64>,
    limit: Arc<watch::Sender<u64>>,
}

impl Gate {
    /// Carries bytes until one of the ends is closed.
    async fn carry(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) {
        let (mut bytes, mut limit) = (vec![0; 16 << 10], self.limit.subscribe());
        while let Ok(len @ 1..) = from.read(&mut bytes).await {
            let passed = self.passed.fetch_add(len as u64, Ordering::SeqCst) + len as u64;
            if limit.wait_for(|limit| passed <= *limit).await.is_err()
                || to.write_all(&bytes[..len]).await.is_err()
            {
                return;
            }
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// One before a port of this machine.
    pub(super) async fn new(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (is_cut, looks) = watch::channel(false);
        let gate = Gate { passed: Arc::default(), limit: Arc::new(watch::Sender::new(u64::MAX)) };
        let of_all = gate.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !*looks.borrow() {
                    tokio::spawn(pass(stream, target, of_all.clone(), looks.clone()));
                }
            }
        });
        Self { address, is_cut, gate, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }

    /// Passes so many more bytes to the server, and holds back what comes then; all, where there is
    /// no number.
    pub(super) fn allow(&self, bytes: Option<u64>) {
        let passed = self.passed();
        self.gate.limit.send_replace(bytes.map_or(u64::MAX, |bytes| passed + bytes));
    }

    /// Whether it holds back bytes.
    pub(super) fn is_holding(&self) -> bool {
        self.passed() > *self.gate.limit.borrow()
    }

    /// Bytes that it has passed to the server, or is about to.
    pub(super) fn passed(&self) -> u64 {
        self.gate.passed.load(Ordering::SeqCst)
    }
}

async fn pass(mut stream: TcpStream, target: u16, gate: Gate, mut looks: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (from, mut back) = stream.split();
    let (mut answers, to) = server.split();
    tokio::select! {
        // Whichever end closes it: the other is closed too.
        () = gate.carry(from, to) => {}
        _ = copy(&mut answers, &mut back) => {}
        _ = looks.wait_for(|is_cut| *is_cut) => {}
    }
}
