//! No consensus at all: one thread that applies what clients hand it, and answers.
//!
//! Where logs are durable it first writes the commands of all who wait over a part of a file that
//! was written before, and syncs that once: what one disk costs who does nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use env::fs::{File, Fs, OpenMode, OsFs};
use harness::contract::{StoreError, Unsupported};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Cluster, Log, Shared, Wire};
use crate::adapters::replica::Machine;

type Job = (Bytes, oneshot::Sender<()>);

/// Bytes of the file that is written over and over.
const FILE: usize = 1 << 20;

/// A file with all its blocks, so that a sync of it has nothing but the bytes to write.
struct Disk {
    file: Box<dyn File>,
    /// Where the next write goes.
    at: usize,
    syncs: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Disk {
    fn new(syncs: &Arc<AtomicU64>) -> Result<Self, StoreError> {
        let folder = tempfile::tempdir()?;
        let file = OsFs.open(&folder.path().join("floor"), OpenMode::CREATE_NEW)?;
        file.write_all_at(&vec![0; FILE], 0)?;
        file.sync_all()?;
        Ok(Self { file, at: 0, syncs: Arc::clone(syncs), _folder: folder })
    }

    /// Makes the commands durable, until others are written over them.
    fn keep(&mut self, commands: &[Job]) -> Result<(), StoreError> {
        let bytes: Vec<u8> = commands.iter().flat_map(|(command, _)| command).copied().collect();
        if self.at + bytes.len() > FILE {
            self.at = 0;
        }
        self.file.write_all_at(&bytes, self.at as u64)?;
        self.file.sync_data()?;
        self.at += bytes.len();
        // Relaxed: a count.
        self.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The floor.
#[derive(Debug)]
pub struct Floor<M> {
    machines: Vec<Shared<M>>,
    /// Where there is a disk.
    syncs: Option<Arc<AtomicU64>>,
    /// None once it ends.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl<M> Drop for Floor<M> {
    fn drop(&mut self) {
        self.jobs = None;
        // What panicked has said so.
        self.thread.take().map(JoinHandle::join);
    }
}

impl<M: Machine + 'static> Cluster<M> for Floor<M> {
    const NAME: &'static str = "floor";

    fn start(_: usize, log: Log) -> Result<Self, Unsupported> {
        let syncs = (log != Log::Memory).then(Arc::<AtomicU64>::default);
        let disk = syncs.as_ref().map(Disk::new).transpose();
        let mut disk = disk.map_err(|error| Unsupported(error.to_string()))?;
        let (jobs, orders) = channel::<Job>();
        let machine = Arc::new(Mutex::new(M::default()));
        let machines = vec![Arc::clone(&machine)];
        let thread = thread::spawn(move || {
            let mut batch = Vec::new();
            while let Ok(first) = orders.recv() {
                batch.push(first);
                batch.extend(orders.try_iter());
                if let Some(disk) = &mut disk {
                    disk.keep(&batch).expect("there is room on the disk");
                }
                let mut machine = machine.lock();
                for (command, _) in &batch {
                    machine.apply(command);
                }
                drop(machine);
                for (_, reply) in batch.drain(..) {
                    // A client that has gone needs no answer.
                    reply.send(()).ok();
                }
            }
        });
        Ok(Self { machines, syncs, jobs: Some(jobs), thread: Some(thread) })
    }

    async fn submit(&self, command: Bytes) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.as_ref().ok_or("it has ended")?.send((command, reply))?;
        Ok(answer.await?)
    }

    fn machines(&self) -> &[Shared<M>] {
        &self.machines
    }

    fn syncs(&self) -> Option<u64> {
        // Relaxed: a count.
        self.syncs.as_ref().map(|it| it.load(Ordering::Relaxed))
    }

    fn wire(&self) -> Option<&Wire> {
        None
    }
}
