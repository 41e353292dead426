//! No consensus at all: one thread that applies what clients hand it, and answers.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use harness::contract::{StoreError, Unsupported};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Cluster, Log, Shared, Wire};
use crate::adapters::replica::Machine;

type Job = (Bytes, oneshot::Sender<()>);

/// The floor.
#[derive(Debug)]
pub struct Floor<M> {
    machines: Vec<Shared<M>>,
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
        if log != Log::Memory {
            return Err(Unsupported("it has no log".to_owned()));
        }
        let (jobs, orders) = channel::<Job>();
        let machine = Arc::new(Mutex::new(M::default()));
        let machines = vec![Arc::clone(&machine)];
        let thread = thread::spawn(move || {
            let mut batch = Vec::new();
            while let Ok(first) = orders.recv() {
                batch.push(first);
                batch.extend(orders.try_iter());
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
        Ok(Self { machines, jobs: Some(jobs), thread: Some(thread) })
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
        None
    }

    fn wire(&self) -> Option<&Wire> {
        None
    }
}
