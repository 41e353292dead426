//! What stands before a server's port for peers: it passes bytes on, until it is cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A proxy. Cut, it closes its connections and takes no other.
pub(super) struct Proxy {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    task: JoinHandle<()>,
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
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !*looks.borrow() {
                    tokio::spawn(pass(stream, target, looks.clone()));
                }
            }
        });
        Self { address, is_cut, task }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn cut(&self, is_cut: bool) {
        self.is_cut.send_replace(is_cut);
    }
}

async fn pass(mut stream: TcpStream, target: u16, mut looks: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    tokio::select! {
        // Whichever end closes it: the other is closed too.
        _ = copy_bidirectional(&mut stream, &mut server) => {}
        _ = looks.wait_for(|is_cut| *is_cut) => {}
    }
}
