//! A snapshot that a leader sends, on a disk that takes its time, or has no room.
//!
//! Two groups on three nodes. The third node is away until the first group's log is compacted, and
//! its disk then does with the file of the snapshot what the test says.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use env::clock::MonotonicClock;
use env::fs::{DirEntry, File, Fs, FsError, FsErrorKind, Intent, Lock, OpenMode, Result};
use harness::sim::SimDisk;
use parking_lot::{Condvar, Mutex};
use raft::{Configuration, DiskLog, GroupId, Incarnation, Index, NodeId};

use super::cluster::options;
use super::{Journal, within};
use crate::{Error, GroupStatus, Hub, Node, Options, mailbox};

const LARGE: GroupId = GroupId(1);
const OTHER: GroupId = GroupId(2);

/// What becomes of who writes the file of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    #[default]
    Done,
    Waits,
    Full,
}

/// A disk that answers who writes a snapshot as it was told to.
#[derive(Debug)]
struct Gated {
    disk: Arc<dyn Fs>,
    answer: Mutex<Answer>,
    /// How many have asked while the answer was not `Done`.
    asked: Mutex<u64>,
    changed: Condvar,
}

impl Gated {
    fn new(disk: &SimDisk) -> Arc<Self> {
        let (answer, asked) = (Mutex::default(), Mutex::default());
        Arc::new(Self { disk: disk.mount(), answer, asked, changed: Condvar::new() })
    }

    fn answer(&self, answer: Answer) {
        *self.answer.lock() = answer;
        self.changed.notify_all();
    }

    fn pass(&self, path: &Path) -> Result<()> {
        let mut answer = self.answer.lock();
        *self.asked.lock() += u64::from(*answer != Answer::Done);
        while *answer == Answer::Waits {
            self.changed.wait(&mut answer);
        }
        match *answer {
            Answer::Full => Err(FsError::new("write", path, FsErrorKind::NoSpace, None)),
            Answer::Done | Answer::Waits => Ok(()),
        }
    }
}

impl Fs for Gated {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let is_snapshot = path.components().any(|part| part.as_os_str() == "snapshots");
        if is_snapshot && mode.intent != Intent::Read {
            self.pass(path)?;
        }
        self.disk.open(path, mode)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        self.disk.lock(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        self.disk.link(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<()> {
        self.disk.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.disk.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        self.disk.list(path)
    }

    fn size(&self, path: &Path) -> Result<u64> {
        self.disk.size(path)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.disk.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.disk.sync_dir(path)
    }
}

struct Stage {
    hub: Hub,
    disks: Vec<SimDisk>,
    gate: Arc<Gated>,
    nodes: Vec<Node>,
}

/// Starts a node from what its disk has, or from nothing.
async fn start(hub: &Hub, id: u64, disk: Arc<dyn Fs>) -> Node {
    let log = DiskLog::open(disk, Path::new("/raft"), wal::Options::default());
    let log = log.expect("the log is whole");
    let mailbox = mailbox(1 << 24);
    let transport = hub.attach(NodeId(id), mailbox.inbox());
    let options = Options { compact_bytes: 2_000, ..options(NodeId(id)) };
    let clock = Arc::new(MonotonicClock::new());
    let node = Node::start(options, log.clone(), transport, mailbox, clock);
    for group in [LARGE, OTHER] {
        let founders = Configuration::founding([1, 2, 3].map(NodeId));
        let storage = match log.group(group) {
            Ok(storage) => storage,
            Err(_) => log.create(group, Incarnation(0), founders).expect("it is the first"),
        };
        node.open(storage, Journal::default()).await.expect("it is whole");
    }
    node
}

impl Stage {
    /// The third node is behind a snapshot, and is about to hear of it.
    async fn new(answer: Answer) -> Self {
        let (hub, disks) = (Hub::new(), [1, 2, 3].map(SimDisk::new));
        let gate = Gated::new(&disks[2]);
        let nodes = vec![
            start(&hub, 1, disks[0].mount()).await,
            start(&hub, 2, disks[1].mount()).await,
            start(&hub, 3, Arc::clone(&gate) as Arc<dyn Fs>).await,
        ];
        let stage = Self { hub, disks: disks.into(), gate, nodes };
        stage.propose(OTHER, "before").await;
        stage.hub.isolate(NodeId(3));
        for number in 0..200 {
            stage.propose(LARGE, &format!("line {number}")).await;
        }
        within("the log is compacted", async || {
            let behind = stage.status(3, LARGE).await?.status.last.index;
            for id in [1, 2] {
                if stage.status(id, LARGE).await?.first <= behind + 1 {
                    return None;
                }
            }
            Some(())
        })
        .await;
        stage.gate.answer(answer);
        stage.hub.heal();
        within("the file is to be written", async || (*stage.gate.asked.lock() > 0).then_some(()))
            .await;
        stage
    }

    async fn status(&self, id: usize, group: GroupId) -> Option<GroupStatus> {
        self.nodes[id - 1].status(group).await.ok()
    }

    async fn propose(&self, group: GroupId, command: &str) {
        within("a command is applied", async || {
            for node in &self.nodes {
                if node.propose(group, Bytes::copy_from_slice(command.as_bytes())).await.is_ok() {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// Waits until the third node has applied a command.
    async fn reaches_third(&self, group: GroupId, command: &str) {
        within("the third has it", async || {
            let all = self.nodes[2].read_stale(group, Bytes::new()).await.ok()?;
            all.ends_with(command.as_bytes()).then_some(())
        })
        .await;
    }

    async fn end(self) {
        for node in self.nodes {
            node.stop().await.expect("it runs");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_groups_go_on_while_a_snapshot_is_written() {
    let stage = Stage::new(Answer::Waits).await;
    stage.propose(OTHER, "meanwhile").await;
    stage.reaches_third(OTHER, "meanwhile").await;
    let behind = stage.status(3, LARGE).await.expect("it answers");
    assert_eq!(behind.snapshot, Index::ZERO, "the file is not there yet");
    // Entries behind the snapshot wait for it.
    stage.propose(LARGE, "last").await;
    stage.gate.answer(Answer::Done);
    stage.reaches_third(LARGE, "last").await;
    assert!(stage.nodes[2].stats().restores >= 1);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_without_room_ends_its_group_only() {
    let mut stage = Stage::new(Answer::Full).await;
    within("its group has ended", async || {
        let status = stage.nodes[2].status(LARGE).await;
        let is_full = |reason: &str| reason.contains("the disk is full");
        matches!(status, Err(Error::Failed { reason, .. }) if is_full(&reason)).then_some(())
    })
    .await;
    stage.propose(OTHER, "meanwhile").await;
    stage.reaches_third(OTHER, "meanwhile").await;
    // There is room again, and the node is started again.
    stage.gate.answer(Answer::Done);
    stage.nodes.pop().expect("there are three").stop().await.expect("it runs");
    let left = stage.gate.list(Path::new("/raft/snapshots")).expect("the folder is there");
    assert!(left.is_empty(), "a part of a file would fill the disk further: {left:?}");
    stage.nodes.push(start(&stage.hub, 3, Arc::clone(&stage.gate) as Arc<dyn Fs>).await);
    stage.propose(LARGE, "last").await;
    stage.reaches_third(LARGE, "last").await;
    stage.end().await;
}

/// The power goes while the file is written, and so does what was not synced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_in_the_midst_of_a_snapshot_costs_only_time() {
    let mut stage = Stage::new(Answer::Waits).await;
    stage.propose(OTHER, "meanwhile").await;
    stage.reaches_third(OTHER, "meanwhile").await;
    stage.disks[2].crash();
    stage.gate.answer(Answer::Done);
    stage.nodes.pop().expect("there are three").stop().await.expect("it runs");
    stage.gate = Gated::new(&stage.disks[2]);
    stage.nodes.push(start(&stage.hub, 3, Arc::clone(&stage.gate) as Arc<dyn Fs>).await);
    stage.propose(LARGE, "last").await;
    stage.reaches_third(LARGE, "last").await;
    stage.reaches_third(OTHER, "meanwhile").await;
    stage.end().await;
}
