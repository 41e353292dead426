//! Whoever has something for a node runs it.
//!
//! ```text
//!   client, peer, log ---> queue ---> is somebody at work on the groups?
//!                                        no: run them here and now, on this thread
//!                                        yes: they look at the queue again before they leave
//! ```
//!
//! To hand an event to another thread costs a wake-up, and a command that is committed by three
//! nodes would wait for four of them, each many times as long as the work itself. So the groups are
//! behind a lock that others only *try* for, and the node's own thread does what nobody else is
//! there for: ticks, and what the others leave to it.
//!
//! Nothing is lost between an event that finds the lock taken and the holder that leaves: who puts
//! in first counts and then tries, who leaves first lets go and then looks at the count; in every
//! order of the four one of them sees the other.
//!
//! # What this module does not do
//!
//! It waits for nothing. What a round calls does not either: see `shard`.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use parking_lot::Mutex;

use super::shard::Shard;
use crate::mailbox::Queue;

/// The groups of a node, and who may run them.
#[derive(Default)]
pub(crate) struct Engine {
    /// `None` before the node starts and after it has ended.
    shard: Mutex<Option<Shard>>,
    pub(crate) queue: Queue,
    /// Events that were taken out, and done with.
    taken: AtomicU64,
    /// Has the node's own thread look.
    own: OnceLock<Waker>,
}

/// What the node's own thread does next.
pub(super) enum Turn {
    /// It looks again: somebody has put something in.
    Again,
    /// It rests, for so long where nobody wakes it.
    Rest(Duration),
    /// The node is over.
    Over(Box<Shard>),
}

/// A thread that is parked while it rests.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("put", &self.queue.put_in()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Whether so many events have been taken out. Where two threads put in at once, one may see
    /// the other's event; then the other one still sees one that is not taken.
    pub(crate) fn has_taken(&self, count: u64) -> bool {
        // Acquire: what was done with them has been done.
        self.taken.load(Ordering::Acquire) >= count
    }

    /// So many events were taken out.
    pub(super) fn note_taken(&self, count: u64) {
        // Release: pairs with the Acquire in `has_taken`. Only who holds the lock writes it.
        self.taken.fetch_add(count, Ordering::Release);
    }

    /// Whether events wait that nobody may have seen.
    fn has_events(&self) -> bool {
        // SeqCst: see the module's header; pairs with the fence in `help`.
        fence(Ordering::SeqCst);
        self.taken.load(Ordering::Relaxed) < self.queue.put_in()
    }

    /// Runs the groups for as long as there are events, but for so many rounds at most, unless
    /// somebody else does.
    pub(crate) fn help(&self, rounds: u32) {
        // SeqCst: what was put in is counted before the lock is found taken.
        fence(Ordering::SeqCst);
        for _ in 0..rounds {
            let Some(mut shard) = self.shard.try_lock() else { return };
            let Some(it) = shard.as_mut() else { return };
            let is_missed = it.round();
            drop(shard);
            if is_missed {
                self.wake();
            }
            if !self.has_events() {
                return;
            }
        }
        self.wake();
    }

    /// The node's own thread is to look.
    pub(crate) fn wake(&self) {
        if let Some(own) = self.own.get() {
            own.wake_by_ref();
        }
    }

    /// Runs a node until it is stopped, on its own thread.
    pub(super) fn run(&self, shard: Shard) {
        self.begin(shard, Arc::new(Parked(thread::current())).into());
        loop {
            match self.turn() {
                // Who put it in may be back already, and has more to come.
                Turn::Again => thread::yield_now(),
                Turn::Rest(patience) => thread::park_timeout(patience),
                Turn::Over(shard) => return shard.end(),
            }
        }
    }

    /// From now on others may run the groups; `own` has the node's own thread take its turn.
    pub(super) fn begin(&self, shard: Shard, own: Waker) {
        self.own.set(own).expect("a node starts once");
        *self.shard.lock() = Some(shard);
    }

    /// A look at the groups, where they are.
    #[cfg(test)]
    pub(super) fn look<T>(&self, at: impl FnOnce(&Shard) -> T) -> Option<T> {
        self.shard.lock().as_ref().map(at)
    }

    /// A turn of the node's own thread.
    ///
    /// Panics before the node has begun, and after it is over.
    pub(super) fn turn(&self) -> Turn {
        let mut shard = self.shard.lock();
        let it = shard.as_mut().expect("only its own thread ends it");
        // Clients that others answer have tasks elsewhere, and those mostly wait longest.
        if it.is_due() || self.has_events() {
            it.round();
        }
        if it.is_over() {
            // Whoever tries now finds nothing, and is told so by the queue's end.
            return Turn::Over(Box::new(shard.take().expect("it was there")));
        }
        let patience = it.rest();
        drop(shard);
        if self.has_events() { Turn::Again } else { Turn::Rest(patience) }
    }
}
