//! A small write-ahead log for one server, on the simulated disk.
//!
//! ```text
//!   | len u64 | checksum u64 | payload |  | len | checksum | payload |  ...  torn tail
//! ```
//!
//! The first record names the disk, each later one is a write of the core or a snapshot that the
//! server made itself. What does not verify is the end. Recovery copies what does into a new file:
//! what was read may never reach the disk otherwise, least of all after a sync that failed.
//!
//! # What this module does not do
//!
//! It never deletes: a run is short.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::fs::{File, Fs, FsError, FsErrorKind, FsExt, OpenMode};
use harness::sim::SimFs;

use crate::{
    Configuration, Entry, HardState, Incarnation, Index, MemoryStorage, NodeId, Payload, Position,
    Snapshot, SnapshotMeta, Term, Write,
};

const FILE: &str = "log";

/// The open log.
pub(super) struct Disk {
    file: Box<dyn File>,
    end: u64,
}

/// What is in a log.
pub(super) struct Recovered {
    pub(super) disk: Disk,
    pub(super) storage: MemoryStorage,
    pub(super) incarnation: Incarnation,
}

impl Disk {
    /// Opens the log; where there is none, begins it with `fresh`.
    pub(super) fn open(
        fs: &Arc<SimFs>,
        fresh: impl FnOnce() -> (Incarnation, MemoryStorage),
    ) -> Result<Recovered, FsError> {
        let path = Path::new(FILE);
        let bytes = match fs.read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind == FsErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut records = records(&bytes);
        if records.is_empty() {
            let (incarnation, storage) = fresh();
            let mut first = Encoder::default();
            first.number(incarnation.0);
            first.snapshot(storage.snapshot());
            records.push(first.0);
        }
        let whole: Vec<u8> = records.iter().flat_map(|record| framed(record)).collect();
        fs.write_atomic(path, &whole)?;
        let (incarnation, storage) = replay(&records);
        let file = fs.open(path, OpenMode::WRITE)?;
        Ok(Recovered { disk: Self { file, end: whole.len() as u64 }, storage, incarnation })
    }

    /// Makes a write durable. After an error nothing may be relied on but what `open` finds.
    pub(super) fn write(&mut self, write: &Write) -> Result<(), FsError> {
        let mut record = Encoder::default();
        record.number(0);
        let state = write.hard_state();
        record.number(state.term.0);
        record.number(state.vote.map_or(0, |id| id.0));
        record.number(state.commit.0);
        record.number(u64::from(write.snapshot().is_some()));
        if let Some(snapshot) = write.snapshot() {
            record.snapshot(snapshot);
        }
        record.number(write.entries().len() as u64);
        write.entries().iter().for_each(|entry| record.entry(entry));
        self.append(&record.0)
    }

    /// Makes a snapshot of the server's own durable.
    pub(super) fn keep(&mut self, snapshot: &Snapshot, keep_after: Index) -> Result<(), FsError> {
        let mut record = Encoder::default();
        record.number(1);
        record.snapshot(snapshot);
        record.number(keep_after.0);
        self.append(&record.0)
    }

    fn append(&mut self, record: &[u8]) -> Result<(), FsError> {
        let bytes = framed(record);
        self.file.write_all_at(&bytes, self.end)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

fn framed(record: &[u8]) -> Vec<u8> {
    let mut bytes = (record.len() as u64).to_le_bytes().to_vec();
    bytes.extend(checksum(record).to_le_bytes());
    bytes.extend(record);
    bytes
}

fn checksum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

/// The records that verify, up to the first that does not.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while bytes.len() >= 16 {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        let Ok(len) = usize::try_from(word(0)) else { break };
        let Some(record) = bytes.get(16..).and_then(|rest| rest.get(..len)) else { break };
        if checksum(record) != word(8) {
            break;
        }
        found.push(record.to_vec());
        bytes = &bytes[16 + len..];
    }
    found
}

fn replay(records: &[Vec<u8>]) -> (Incarnation, MemoryStorage) {
    let mut first = Decoder(&records[0]);
    let incarnation = Incarnation(first.number());
    let mut storage = MemoryStorage::new();
    storage.install(first.snapshot());
    for record in &records[1..] {
        let mut record = Decoder(record);
        if record.number() == 1 {
            let snapshot = record.snapshot();
            storage.compact(snapshot, Index(record.number()));
        } else {
            storage.write(&record.write());
        }
    }
    (incarnation, storage)
}

#[derive(Default)]
struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn ids(&mut self, ids: &[NodeId]) {
        self.number(ids.len() as u64);
        for id in ids {
            self.number(id.0);
        }
    }

    fn configuration(&mut self, it: &Configuration) {
        self.ids(&it.voters);
        self.ids(&it.outgoing);
        self.ids(&it.learners);
        self.number(it.members.len() as u64);
        for (id, incarnation) in &it.members {
            self.number(id.0);
            self.number(incarnation.0);
        }
        self.number(u64::from(it.auto_leave));
    }

    fn snapshot(&mut self, it: &Snapshot) {
        self.number(it.meta.last.index.0);
        self.number(it.meta.last.term.0);
        self.configuration(&it.meta.configuration);
        self.bytes(&it.data);
    }

    fn entry(&mut self, entry: &Entry) {
        self.number(entry.index.0);
        self.number(entry.term.0);
        match &entry.payload {
            Payload::Noop => self.number(0),
            Payload::Command(command) => {
                self.number(1);
                self.bytes(command);
            }
            Payload::Configuration(it) => {
                self.number(2);
                self.configuration(it);
            }
        }
    }
}

/// Reads what has verified, and so panics at nothing.
struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn number(&mut self) -> u64 {
        let (word, rest) = self.0.split_at(8);
        self.0 = rest;
        u64::from_le_bytes(word.try_into().expect("eight bytes"))
    }

    fn count(&mut self) -> usize {
        usize::try_from(self.number()).expect("it fits memory")
    }

    fn bytes(&mut self) -> Bytes {
        let len = self.count();
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        Bytes::copy_from_slice(bytes)
    }

    fn ids(&mut self) -> Vec<NodeId> {
        (0..self.number()).map(|_| NodeId(self.number())).collect()
    }

    fn configuration(&mut self) -> Configuration {
        let (voters, outgoing, learners) = (self.ids(), self.ids(), self.ids());
        let count = self.number();
        let members = (0..count).map(|_| (NodeId(self.number()), Incarnation(self.number())));
        let members = members.collect();
        Configuration { voters, outgoing, learners, members, auto_leave: self.number() == 1 }
    }

    fn snapshot(&mut self) -> Snapshot {
        let last = Position { index: Index(self.number()), term: Term(self.number()) };
        let configuration = self.configuration();
        let data = self.bytes();
        Snapshot { meta: SnapshotMeta { last, configuration, len: data.len() as u64 }, data }
    }

    fn entry(&mut self) -> Entry {
        let (index, term) = (Index(self.number()), Term(self.number()));
        let payload = match self.number() {
            0 => Payload::Noop,
            1 => Payload::Command(self.bytes()),
            _ => Payload::Configuration(Box::new(self.configuration())),
        };
        Entry { index, term, payload }
    }

    fn write(&mut self) -> Write {
        let term = Term(self.number());
        let vote = Some(NodeId(self.number())).filter(|id| id.0 > 0);
        let hard_state = HardState { term, vote, commit: Index(self.number()) };
        let snapshot = (self.number() == 1).then(|| self.snapshot());
        let entries = (0..self.number()).map(|_| self.entry()).collect();
        Write { sequence: 0, hard_state, snapshot, entries, promises: Vec::new() }
    }
}
