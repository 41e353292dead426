//! Freshness: one thread writes, others read, and no read is older than it may be.
//!
//! For a register with a single writer linearizability comes down to three inequalities, which can
//! be checked while millions of operations run, without a history and without a search (Lamport,
//! "On interprocess communication", 1986, calls such a register atomic):
//!
//! ```text
//!   version that was complete before the read began  <=  version read
//!   version that any read had returned before it     <=  version read
//!   version read  <=  version that was begun when the read ended
//! ```
//!
//! Some versions remove the value. A read of nothing only says that the version was one of those,
//! so it must be possible for one of them between the bounds. After a removal the writer waits for
//! a few reads: a removal that did nothing would else be covered up by the next write at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::Mismatch;
use super::together::{SetAtEnd, together};

/// Every so many versions the value is removed instead of set.
const REMOVAL: u64 = 100;
const READERS: u32 = 2;

/// Whether version `version` is the absence of a value. Version zero, before all writes, is.
const fn removes(version: u64) -> bool {
    version.is_multiple_of(REMOVAL)
}

/// Writes `versions` versions on one thread, by `write`, which is given the version or `None` for
/// a removal, and reads on two others until it is done.
pub(super) fn single_writer(
    versions: u64,
    write: impl Fn(Option<u64>) -> Result<(), Mismatch> + Sync,
    read: impl Fn() -> Result<Option<u64>, Mismatch> + Sync,
) -> Result<(), Mismatch> {
    let progress = Progress::default();
    let outcomes = together(1 + READERS, |thread| {
        let _end = SetAtEnd(&progress.over);
        if thread == 0 {
            progress.write_all(versions, &write)
        } else {
            progress.read_until_over(&read)
        }
    });
    outcomes.into_iter().collect()
}

/// What the threads know of each other. The versions are accessed with sequential consistency: the
/// argument needs one order of them, and less would gain nothing.
#[derive(Default)]
struct Progress {
    /// Latest version whose write has begun.
    begun: AtomicU64,
    /// Latest version whose write has returned.
    complete: AtomicU64,
    /// Latest version that a read has returned.
    returned: AtomicU64,
    /// Reads that have returned.
    reads: AtomicU64,
    /// Whether the threads are to stop.
    over: AtomicBool,
}

impl Progress {
    fn write_all(
        &self,
        versions: u64,
        write: impl Fn(Option<u64>) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        for version in 1..=versions {
            self.begun.store(version, Ordering::SeqCst);
            write((!removes(version)).then_some(version))?;
            self.complete.store(version, Ordering::SeqCst);
            if removes(version) {
                self.await_reads();
            }
        }
        Ok(())
    }

    /// Waits until a read has begun and ended. One read of each reader may be under way already.
    fn await_reads(&self) {
        let enough = self.reads.load(Ordering::SeqCst) + u64::from(READERS) + 1;
        while self.reads.load(Ordering::SeqCst) < enough && !self.over.load(Ordering::Acquire) {
            thread::yield_now();
        }
    }

    fn read_until_over(
        &self,
        read: impl Fn() -> Result<Option<u64>, Mismatch>,
    ) -> Result<(), Mismatch> {
        while !self.over.load(Ordering::Acquire) {
            self.read_once(&read)?;
            // On a machine with few processors the writer must get its turn.
            if self.reads.load(Ordering::SeqCst).is_multiple_of(16) {
                thread::yield_now();
            }
        }
        self.read_once(&read)
    }

    fn read_once(&self, read: impl Fn() -> Result<Option<u64>, Mismatch>) -> Result<(), Mismatch> {
        let least = self.complete.load(Ordering::SeqCst).max(self.returned.load(Ordering::SeqCst));
        let got = read()?;
        let most = self.begun.load(Ordering::SeqCst);
        self.reads.fetch_add(1, Ordering::SeqCst);
        let possible = match got {
            Some(version) => !removes(version) && (least..=most).contains(&version),
            None => (least..=most).any(removes),
        };
        if possible {
            self.returned.fetch_max(got.unwrap_or(0), Ordering::SeqCst);
            return Ok(());
        }
        let expected =
            format!("a version from {least} to {most}, nothing for multiples of {REMOVAL}");
        Err(Mismatch::new(expected, format!("{got:?}")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{REMOVAL, single_writer};

    #[test]
    fn a_register_is_fresh_and_a_late_one_is_not() {
        let register = Mutex::new(None);
        let write = |version| {
            *register.lock().unwrap() = version;
            Ok(())
        };
        single_writer(20_000, write, || Ok(*register.lock().unwrap())).unwrap();

        // The write takes effect one write too late.
        let pending = Mutex::new((None, None));
        let write = |version| {
            let mut pending = pending.lock().unwrap();
            *pending = (pending.1, version);
            Ok(())
        };
        single_writer(20_000, write, || Ok(pending.lock().unwrap().0)).unwrap_err();
    }

    /// A value from the future, and one that a removal should have taken away.
    #[test]
    fn values_outside_of_the_bounds_are_found() {
        single_writer(10, |_| Ok(()), || Ok(Some(11))).unwrap_err();
        single_writer(10, |_| Ok(()), || Ok(Some(REMOVAL))).unwrap_err();
        let latest = AtomicU64::new(0);
        let keep = |version: Option<u64>| {
            latest.fetch_max(version.unwrap_or(0), Ordering::SeqCst);
            Ok(())
        };
        // Ends on a removal, which this register ignores.
        single_writer(2 * REMOVAL, keep, || Ok(Some(latest.load(Ordering::SeqCst)))).unwrap_err();
    }
}
