//! How often three cores allocate for a committed entry: `cargo test -p raft@0.0.0 --test
//! allocations -- --nocapture` shows it, and more than the bound is a failure.

use std::collections::VecDeque;

use bytes::Bytes;
use harness::counting::Counting;
use raft::{
    Apply, Config, Configuration, Index, MemoryStorage, Message, NodeId, Raft, Ready, Snapshot,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const PAYLOAD: [u8; 64] = [7; 64];

/// Entries that are counted, and as many before them, in which buffers grow.
const ENTRIES: u64 = 64_000;

/// Entries after which a log is shortened, so that it does not grow while it is counted.
const KEPT: u64 = 1_000;

/// A server, and the buffers that it is given again and again.
struct Server {
    raft: Raft<MemoryStorage>,
    ready: Ready,
    shortened: Index,
}

impl Server {
    fn new(id: NodeId, founders: &Configuration) -> Self {
        let storage = MemoryStorage::founding(founders.clone());
        let raft = Raft::new(Config::new(id, id.0), storage, Index::ZERO).expect("usual values");
        Self { raft, ready: Ready::default(), shortened: Index::ZERO }
    }

    /// Does what there is to do; false where there is nothing.
    fn pump(&mut self, network: &mut VecDeque<Message>) -> bool {
        let mut is_news = false;
        while self.raft.has_ready() {
            is_news = true;
            self.raft.ready_into(&mut self.ready).expect("memory can be read");
            if let Some(write) = self.ready.write.take() {
                self.raft.storage_mut().write(&write);
                self.raft.persisted_into(write, &mut self.ready.messages);
            }
            network.extend(self.ready.messages.drain(..));
            if let Some(Apply::Entries(entries)) = self.ready.apply.take() {
                let last = entries.last().expect("never empty").index;
                self.raft.applied(last);
                self.shorten(last);
            }
        }
        is_news
    }

    fn shorten(&mut self, applied: Index) {
        if applied.since(self.shortened) > 2 * KEPT {
            let meta = self.raft.snapshot_meta(applied).expect("it is applied");
            self.shortened = Index(applied.0 - KEPT);
            let snapshot = Snapshot { meta, data: Bytes::new() };
            self.raft.storage_mut().compact(snapshot, self.shortened);
        }
    }
}

/// Delivers everything; time passes where all wait.
fn run(servers: &mut [Server], network: &mut VecDeque<Message>, until: Index) {
    while servers.iter().any(|it| it.raft.status().applied < until) {
        let mut is_news = false;
        for server in servers.iter_mut() {
            is_news |= server.pump(network);
        }
        if !is_news && network.is_empty() {
            for server in servers.iter_mut() {
                server.raft.tick();
            }
        }
        while let Some(message) = network.pop_front() {
            let to = usize::try_from(message.to.0).expect("they are three") - 1;
            servers[to].raft.step(message);
        }
    }
}

/// Allocations of all three servers for an entry, the copy of the command included.
fn per_entry(batch: u64) -> f64 {
    let ids = [1, 2, 3].map(NodeId);
    let founders = Configuration::founding(ids);
    let mut servers = ids.map(|id| Server::new(id, &founders));
    let mut network = VecDeque::new();
    servers[0].raft.campaign();
    run(&mut servers, &mut network, Index(1));
    let mut propose = |servers: &mut [Server]| {
        for _ in 0..ENTRIES / batch {
            let mut last = Index::ZERO;
            for _ in 0..batch {
                let command = Bytes::copy_from_slice(&PAYLOAD);
                last = servers[0].raft.propose(command).expect("it leads");
            }
            run(servers, &mut network, last);
        }
    };
    propose(&mut servers);
    let before = ALLOCATOR.allocations();
    propose(&mut servers);
    (ALLOCATOR.allocations() - before) as f64 / ENTRIES as f64
}

#[test]
fn an_entry_costs_a_few_allocations() {
    for (batch, most) in [(1, 2.1), (64, 1.1)] {
        let found = per_entry(batch);
        println!("batches of {batch}: {found:.3} allocations for an entry");
        assert!(found <= most, "batches of {batch}: {found} allocations for an entry");
    }
}
