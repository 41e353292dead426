//! Runs a small concurrent test under many schedules: one test source, three explorers.
//!
//! Which explorer it is follows from how the crate was built, since [`sync`](crate::sync) and this
//! module change together:
//!
//! | build           | explorer             | schedules                          | finds              |
//! |-----------------|----------------------|------------------------------------|--------------------|
//! | plain           | the operating system | as they come, many runs            | little, but at all |
//! | `--cfg shuttle` | shuttle              | random, and by priorities; seeded  | lost updates, deadlocks, broken protocols |
//! | `--cfg loom`    | loom                 | all, up to a number of preemptions | the same, and every wrong memory ordering |
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test -p harness --target-dir target/shuttle sync
//! RUSTFLAGS="--cfg loom"    cargo test -p harness --target-dir target/loom    sync
//! ```
//!
//! A stress test on real threads finds a lost update in a window of a few instructions in one run
//! of a few, or never on an idle machine; shuttle, which may switch threads at each access, finds
//! it in a handful of schedules. It runs every atomic as if it were sequentially consistent,
//! though, so that a `Relaxed` that must be a `Release` passes. Loom enumerates what the C11 memory
//! model allows, stale values included; the price is that a test must stay tiny: two or three
//! threads, a few accesses each.
//!
//! One thing to mind about loom: of each object it remembers the last access alone, and a writer
//! that reads a word before it writes it makes loom forget who read the word earlier, so that it
//! does not try what that reader would see later. Let the thread that only reads be a spawned one:
//! it comes after the writer in the first execution, and all others follow from there.
//!
//! The priorities are those of Burckhardt et al., "A randomized scheduler with probabilistic
//! guarantees of finding bugs" (PCT, ASPLOS 2010).
//!
//! # What this module does not do
//!
//! It explores only what goes through [`sync`](crate::sync). A thread or an atomic from `std` is
//! invisible to it, and a test that blocks on one hangs.

use super::replay::{self, Failure};

/// Runs of a test where the environment variable `SEEDS` asks for no other number.
pub const SCHEDULES: u64 = 200;

/// Runs `body` under many schedules. Each run starts from nothing: `body` makes the objects, spawns
/// the threads with [`sync::thread`](crate::sync::thread), joins them and asserts.
///
/// `name` selects the test on the command line. Under loom the whole exploration is one run; a
/// deadlock there ends the process, after a message. Shuttle rejects a body whose threads never
/// have a choice, since it would test nothing.
///
/// Panics with the panic of the first schedule that fails, after a line that replays it. Under
/// shuttle that line gives the very same schedule; on real threads only the same number of tries.
pub fn explore(name: &str, body: impl Fn() + Send + Sync + 'static) {
    world::explore(name, body);
}

/// As [`explore`], but returns the failure; for planted bugs, which must be found. `schedules` is
/// the number of tries; loom, which tries all, ignores it.
pub fn find_failure(schedules: u64, body: impl Fn() + Send + Sync + 'static) -> Option<Failure> {
    world::find_failure(schedules, body)
}

/// Real threads: the schedule is whatever the machine does.
#[cfg(not(any(loom, shuttle)))]
mod world {
    use super::{Failure, SCHEDULES, replay};

    pub(super) fn explore(name: &str, body: impl Fn() + Send + Sync + 'static) {
        replay::with_seeds(name, SCHEDULES, |_| body());
    }

    pub(super) fn find_failure(
        schedules: u64,
        body: impl Fn() + Send + Sync + 'static,
    ) -> Option<Failure> {
        replay::find_failure(schedules, |_| body())
    }
}

/// Shuttle: a seed is a schedule, or a short series of them.
#[cfg(shuttle)]
mod world {
    use std::sync::Arc;

    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, FailurePersistence, Runner};

    use super::{Failure, SCHEDULES, replay};

    /// Schedules of one series by priorities. Its first only measures how long the test is.
    const SERIES_LENGTH: usize = 4;

    /// Depth of the bugs that a series looks for: how many accesses must happen in a certain order.
    /// A schedule has one change of priority less.
    const BUG_DEPTH: usize = 3;

    pub(super) fn explore(name: &str, body: impl Fn() + Send + Sync + 'static) {
        let body = Arc::new(body);
        replay::with_seeds(name, SCHEDULES, |seed| run(seed, &body));
    }

    pub(super) fn find_failure(
        schedules: u64,
        body: impl Fn() + Send + Sync + 'static,
    ) -> Option<Failure> {
        let body = Arc::new(body);
        replay::find_failure(schedules, |seed| run(seed, &body))
    }

    /// Even seeds choose threads at random, odd ones by priorities that change now and then: the
    /// first is good at fine interleavings, the second at one thread that is delayed for long.
    fn run(seed: u64, body: &Arc<impl Fn() + Send + Sync + 'static>) {
        let mut config = Config::new();
        // The seed is the replay, and all orderings being one is a fact that we document.
        config.failure_persistence = FailurePersistence::None;
        config.silence_warnings = true;
        let body = Arc::clone(body);
        if seed % 2 == 0 {
            Runner::new(RandomScheduler::new_from_seed(seed, 1), config).run(move || body());
        } else {
            let scheduler = PctScheduler::new_from_seed(seed, BUG_DEPTH, SERIES_LENGTH);
            Runner::new(scheduler, config).run(move || body());
        }
    }
}

/// Loom: no seed, since it tries all schedules, always in the same order.
#[cfg(loom)]
mod world {
    use std::sync::Arc;

    use super::{Failure, replay};

    /// Preemptions (switches away from a thread that could go on) in one schedule. Nearly every
    /// known bug needs two at most, and each further one multiplies the schedules.
    const PREEMPTIONS_MAX: usize = 3;

    pub(super) fn explore(name: &str, body: impl Fn() + Send + Sync + 'static) {
        if let Some(failure) = find_failure(1, body) {
            failure.report(&replay::command(name, None));
        }
    }

    pub(super) fn find_failure(
        _schedules: u64,
        body: impl Fn() + Send + Sync + 'static,
    ) -> Option<Failure> {
        let mut builder = loom::model::Builder::new();
        // `LOOM_MAX_PREEMPTIONS` has been read by `new`; it wins.
        builder.preemption_bound = builder.preemption_bound.or(Some(PREEMPTIONS_MAX));
        let body = Arc::new(body);
        replay::find_failure(1, |_| {
            let body = Arc::clone(&body);
            builder.check(move || body());
        })
    }
}

#[cfg(test)]
mod tests;
