//! A snapshot much larger than what may be held of it: made, and read again by a node that is
//! started anew.

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use env::clock::MonotonicClock;
use env::fs::OsFs;
use harness::counting::Counting;
use raft::{Configuration, DiskLog, GroupId, Incarnation, Index, NodeId, RoleName};
use raft_net::{Hub, MachineError, Make, Node, Options, Row, StateMachine, mailbox};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const GROUP: GroupId = GroupId(1);
const ID: NodeId = NodeId(1);

/// Bytes of the state.
const STATE: usize = 64 << 20;

/// Bytes that a node may hold meanwhile, its threads' buffers included.
const BOUND: usize = 4 << 20;

/// Bytes that the machine writes at once.
const PIECE: usize = 64 << 10;

/// A state that is made up as it is written, so that nobody holds it.
struct Large {
    is_there: bool,
}

fn piece(number: usize) -> Vec<u8> {
    number.to_le_bytes().repeat(PIECE / 8)
}

impl StateMachine for Large {
    fn applied(&self) -> Index {
        Index::ZERO
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, _: Index, _: &[u8]) -> Result<Bytes, MachineError> {
        self.is_there = true;
        Ok(Bytes::new())
    }

    fn commit(&mut self, _: Index, _: &[Row]) -> Result<(), MachineError> {
        Ok(())
    }

    fn query(&self, _: &Bytes) -> Result<Bytes, MachineError> {
        Ok(Bytes::copy_from_slice(&[u8::from(self.is_there)]))
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        Ok(Box::new(|to: &mut dyn Write| {
            for number in 0..STATE / PIECE {
                to.write_all(&piece(number))?;
            }
            Ok(())
        }))
    }

    fn restore(
        &mut self,
        _: Index,
        data: &mut dyn Read,
        _: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        let mut bytes = vec![0; PIECE];
        for number in 0..STATE / PIECE {
            data.read_exact(&mut bytes)?;
            assert_eq!(bytes, piece(number), "piece {number}");
        }
        assert_eq!(data.read(&mut bytes)?, 0, "there is no more");
        self.is_there = true;
        Ok(())
    }
}

async fn start(log: &DiskLog) -> Node {
    let mailbox = mailbox(1 << 20);
    let transport = Hub::new().attach(ID, mailbox.inbox());
    let clock = Arc::new(MonotonicClock::new());
    let node = Node::start(Options::new(ID, 1), log.clone(), transport, mailbox, clock);
    let storage = if log.groups().contains(&GROUP) {
        log.group(GROUP)
    } else {
        log.create(GROUP, Incarnation(0), Configuration::founding([ID]))
    };
    let storage = storage.expect("the log is whole");
    node.open(storage, Large { is_there: false }).await.expect("it is new");
    while node.status(GROUP).await.expect("it runs").status.role != RoleName::Leader {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    node
}

#[test]
fn a_snapshot_is_made_and_restored_in_pieces() {
    let folder = tempfile::tempdir().expect("there is room");
    let runtime = Runtime::new().expect("the system has threads");
    let open = || DiskLog::open(Arc::new(OsFs), folder.path(), wal::Options::SYNCED);
    let log = open().expect("there is room");
    let (most, ()) = ALLOCATOR.most_during(|| {
        runtime.block_on(async {
            let node = start(&log).await;
            node.propose(GROUP, Bytes::new()).await.expect("it leads");
            node.snapshot(GROUP).await.expect("there is room");
            node.stop().await.expect("it runs");
        });
    });
    drop(log);
    assert!(most < BOUND, "{most} bytes were held while {STATE} were written");
    // Which reads a segment of the log at once.
    let log = open().expect("it is whole");
    let (most, answer) = ALLOCATOR.most_during(|| {
        runtime.block_on(async {
            let node = start(&log).await;
            node.read_stale(GROUP, Bytes::new()).await
        })
    });
    assert_eq!(answer, Ok(Bytes::from_static(&[1])), "the state is there");
    assert!(most < BOUND, "{most} bytes were held while {STATE} were read");
}
