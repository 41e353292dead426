//! Who syncs when, so that threads which sync again and again do it together.
//!
//! ```text
//!   one alone, the others later             all together
//!   1  sync ##### append, sync ..........   1  sync ######## append, sync . ########
//!   2    sync ... ########## append, sync   2    sync ######   append, sync ########
//!   3    sync ... ########## append, sync   3    sync ######    append, sync #######
//!      # the disk works for it   . it waits
//! ```
//!
//! Whoever comes first after a sync could begin the next at once, for itself alone, and the others
//! would wait for two. They differ by microseconds, a sync takes a hundred. So the first waits for
//! as many as were there when the last sync ended, a part of what that one took at most: who does
//! not come back is not expected again. One thread alone never waits. (Helland et al., "Group
//! commit timers and high volume transaction systems", HPTS 1987.)

use std::time::Duration;

/// A sync begins so much later for others at most, as a part of what the last one took. They have
/// to be woken up first, which takes a third of what a fast disk does.
const PATIENCE: u32 = 2;

/// The threads that sync. Behind the lock of the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Company {
    /// Whether one of them is at it.
    is_syncing: bool,
    /// Those for whom no sync has ended since they came.
    present: usize,
    /// As many were present when the last sync ended.
    expected: usize,
    /// What the last sync took.
    took: Duration,
}

/// How many a sync that has begun is for.
#[derive(Debug)]
pub(crate) struct Covered(usize);

impl Company {
    pub(crate) fn is_syncing(&self) -> bool {
        self.is_syncing
    }

    /// Somebody has come to sync. Returns whether nobody else is waited for any more.
    pub(crate) fn come(&mut self) -> bool {
        self.present += 1;
        self.is_syncing && self.present == self.expected
    }

    /// One of those who are present will sync.
    pub(crate) fn take_turn(&mut self) {
        debug_assert!(!self.is_syncing, "one at a time");
        self.is_syncing = true;
    }

    /// How much longer to wait for others when so much time has gone by.
    pub(crate) fn patience(&self, waited: Duration) -> Option<Duration> {
        let left = (self.took / PATIENCE).saturating_sub(waited);
        (self.present < self.expected && !left.is_zero()).then_some(left)
    }

    /// The sync begins, for all who are present.
    pub(crate) fn begin(&self) -> Covered {
        Covered(self.present)
    }

    /// The sync is over.
    pub(crate) fn end(&mut self, covered: &Covered, took: Duration) {
        self.is_syncing = false;
        self.expected = self.present;
        self.present -= covered.0;
        self.took = took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_micros(100);
    const NOW: Duration = Duration::ZERO;

    /// A sync for all who are present, and how many that were.
    fn sync(company: &mut Company) -> usize {
        company.take_turn();
        let covered = company.begin();
        company.end(&covered, SYNC);
        covered.0
    }

    #[test]
    fn who_is_alone_waits_for_nobody() {
        let mut company = Company::default();
        for _ in 0..3 {
            assert!(!company.come());
            assert_eq!(company.patience(NOW), None);
            assert_eq!(sync(&mut company), 1);
        }
    }

    #[test]
    fn who_came_too_late_once_is_waited_for() {
        let mut company = Company::default();
        company.come();
        company.take_turn();
        let first = company.begin();
        // Three more while the disk works: they are for the next sync.
        (0..3).for_each(|_| assert!(!company.come()));
        company.end(&first, SYNC);
        company.take_turn();
        assert_eq!(company.patience(NOW), Some(SYNC / 2), "for the first one, who comes again");
        assert!(company.come(), "all four are there");
        assert_eq!(company.patience(NOW), None);
        assert_eq!(company.begin().0, 4);
    }

    #[test]
    fn who_does_not_come_back_is_waited_for_once() {
        let mut company = Company::default();
        (0..3).for_each(|_| assert!(!company.come()));
        sync(&mut company);
        company.come();
        assert_eq!(company.patience(SYNC / 4), Some(SYNC / 4));
        assert_eq!(company.patience(SYNC / 2), None, "no longer than a part of a sync");
        assert_eq!(sync(&mut company), 1);
        company.come();
        assert_eq!(company.patience(NOW), None);
    }
}
