use super::{Inflight, Mode, Progress};
use crate::types::{Incarnation, Index, NodeId};

fn progress(next: u64) -> Progress {
    Progress::new(NodeId(2), Incarnation(0), 1, Index(next), Inflight::new(2, 100))
}

#[test]
fn window_counts_messages_and_bytes() {
    let mut inflight = Inflight::new(2, 100);
    inflight.sent(Index(5), 10);
    assert!(!inflight.is_full());
    inflight.sent(Index(6), 10);
    assert!(inflight.is_full(), "two messages");
    inflight.arrived(Index(5));
    assert!(!inflight.is_full());
    inflight.sent(Index(9), 90);
    assert!(inflight.is_full(), "a hundred bytes");
    inflight.arrived(Index(9));
    assert!(!inflight.is_full());
}

#[test]
fn probe_waits_and_replication_does_not() {
    let mut progress = progress(8);
    progress.sent(Index(9), 10);
    assert!(progress.is_waiting(), "one probe at a time");
    assert!(progress.accepted(Index(9)));
    assert_eq!((progress.mode, progress.next_index), (Mode::Replicate, Index(10)));
    progress.sent(Index(12), 10);
    assert!(!progress.is_waiting());
    assert_eq!(progress.next_index, Index(13));
}

#[test]
fn rejection_goes_back_and_never_below_what_matches() {
    let mut progress = progress(8);
    assert!(!progress.rejected(Index(3), Index(1)), "the answer to another question");
    assert!(progress.rejected(Index(7), Index(4)));
    assert_eq!(progress.next_index, Index(5));
    progress.accepted(Index(6));
    progress.sent(Index(9), 10);
    assert!(!progress.rejected(Index(6), Index(2)), "6 is known to match");
    assert!(progress.rejected(Index(9), Index(2)));
    assert_eq!(progress.next_index, Index(7));
}

#[test]
fn snapshot_ends_when_it_is_durable() {
    let mut progress = progress(8);
    progress.send_snapshot(Index(20));
    assert!(!progress.accepted(Index::ZERO));
    assert!(matches!(progress.mode, Mode::Snapshot { .. }));
    assert!(progress.accepted(Index(20)));
    assert_eq!((progress.mode, progress.next_index), (Mode::Replicate, Index(21)));
}
