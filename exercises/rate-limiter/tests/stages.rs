//! What judges each stage.
//!
//! `cargo study check` runs the module of a stage, and then the same module once more under
//! shuttle, which switches threads at every access to an atomic or a lock: what a stress test finds
//! in one run of three, it finds in a few schedules.

/// Properties of the suite that judges every limiter of this repository.
#[cfg(not(shuttle))]
use harness::suite_properties;

#[cfg(not(shuttle))]
mod stage_1 {
    use exercise_rate_limiter::exercise::TokenBucket;

    #[test]
    fn keeps_the_usual_quotas() {
        super::walks::keeps::<TokenBucket>(&super::walks::WHOLE);
    }

    #[test]
    fn decides_as_the_model() {
        super::walks::decides_as_the_model::<TokenBucket>("stage_1::decides_as_the_model");
    }

    #[test]
    fn a_part_of_a_token_is_not_lost_to_asking() {
        super::walks::a_part_of_a_token_is_not_lost_to_asking::<TokenBucket>();
    }

    #[test]
    fn a_full_bucket_takes_no_more() {
        super::walks::a_full_bucket_takes_no_more::<TokenBucket>();
    }
}

#[cfg(not(shuttle))]
mod stage_2 {
    use exercise_rate_limiter::exercise::Gcra;

    #[test]
    fn keeps_the_usual_quotas() {
        super::walks::keeps::<Gcra>(&super::walks::WHOLE);
    }

    #[test]
    fn decides_as_the_model() {
        super::walks::decides_as_the_model::<Gcra>("stage_2::decides_as_the_model");
    }

    #[test]
    fn a_full_bucket_takes_no_more() {
        super::walks::a_full_bucket_takes_no_more::<Gcra>();
    }
}

#[cfg(not(shuttle))]
mod stage_3 {
    use exercise_rate_limiter::Judged;
    use exercise_rate_limiter::exercise::Exact;

    super::suite_properties!(limiter, Judged<Exact>:
        never_over_admits, never_denies_early, window_bound, retry_after_is_exact, burst_edges,
        big_bursts, long_run, slow_polling, clock_backwards, far_clock,
    );

    #[test]
    fn keeps_every_quota() {
        super::walks::keeps::<Exact>(&super::walks::WHOLE);
        super::walks::keeps::<Exact>(&super::walks::BROKEN);
    }
}

mod stage_4 {
    use exercise_rate_limiter::exercise::Atomic;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_rate_limiter::Judged;

        // Not `big_bursts`: those outgrow 64 bits, and may be refused.
        super::super::suite_properties!(limiter, Judged<super::Atomic>:
            never_over_admits, never_denies_early, window_bound, retry_after_is_exact, burst_edges,
            long_run, slow_polling, clock_backwards, far_clock, threads_keep_the_bound,
        );
    }

    #[cfg(not(shuttle))]
    #[test]
    fn keeps_the_usual_quotas() {
        super::walks::keeps::<Atomic>(&super::walks::WHOLE);
        super::walks::keeps::<Atomic>(&super::walks::BROKEN[..3]);
    }

    #[test]
    fn one_cell_goes_to_one_thread() {
        super::schedules::one_cell_goes_to_one_thread::<Atomic>(
            "stage_4::one_cell_goes_to_one_thread",
        );
    }

    #[test]
    fn who_is_denied_disturbs_nobody() {
        super::schedules::who_is_denied_disturbs_nobody::<Atomic>(
            "stage_4::who_is_denied_disturbs_nobody",
        );
    }
}

mod stage_5 {
    use exercise_rate_limiter::exercise::Keyed;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_rate_limiter::Judged;
        use exercise_rate_limiter::exercise::Keyed;

        super::super::suite_properties!(limiter, Judged<Keyed>:
            never_over_admits, never_denies_early, retry_after_is_exact, threads_keep_the_bound,
            keys_are_independent,
        );
    }

    #[cfg(not(shuttle))]
    mod memory {
        use exercise_rate_limiter::exercise::Keyed;
        use exercise_rate_limiter::{KEYS, Limit, LimiterSpec};

        const HOUR: u64 = 3_600_000_000_000;

        fn hourly() -> Keyed {
            let period = std::time::Duration::from_nanos(HOUR);
            let spec = LimiterSpec { cells: 1, period, burst: 1 };
            Keyed::new(&spec).expect("the quota is a usual one")
        }

        /// Which of many keys are admitted at a moment.
        fn admitted(keyed: &Keyed, now: u64, keys: std::ops::Range<u64>) -> Vec<u64> {
            keys.filter(|&key| keyed.check(now, key, 1).is_admit()).collect()
        }

        /// Of made-up keys only as many have buckets as there is room for, and a bucket that is in
        /// use is not given away: that would fill it.
        #[test]
        fn is_bounded_and_forgets_nobody() {
            let keyed = hourly();
            let keys = admitted(&keyed, 0, 0..200_000);
            assert!(
                keys.len() <= KEYS,
                "{} keys have each had the one cell of their hour, where there is room for \
                 {KEYS}: more than that cannot be remembered, so somebody was forgotten, or \
                 memory grows",
                keys.len()
            );
            assert!(keys.len() >= KEYS / 2, "only {} of {KEYS} keys found room", keys.len());
            for key in keys {
                let again = keyed.check(HOUR - 1, key, 1);
                assert!(!again.is_admit(), "key {key} has had two cells in an hour");
            }
        }

        /// A bucket that is full again says no more than an absent one, and makes room.
        #[test]
        fn is_used_again() {
            let keyed = hourly();
            for hour in 0..4 {
                let from = hour * 1_000_000;
                let keys = admitted(&keyed, hour * HOUR, from..from + 100_000);
                assert!(keys.len() >= KEYS / 2, "in hour {hour} only {} found room", keys.len());
            }
        }
    }

    #[test]
    fn one_cell_goes_to_one_thread() {
        super::schedules::one_cell_goes_to_one_thread::<Keyed>(
            "stage_5::one_cell_goes_to_one_thread",
        );
    }
}

mod stage_6 {
    #[cfg(not(shuttle))]
    mod line {
        use std::pin::pin;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::task::{Context, Poll, Wake, Waker};
        use std::time::Duration;

        use exercise_rate_limiter::LimiterSpec;
        use exercise_rate_limiter::exercise::{Line, Turn};
        use harness::check::replay::with_seeds;
        use harness::rng::SplitMix64;

        const SECOND: u64 = 1_000_000_000;

        fn line(burst: u32) -> Line {
            let spec = LimiterSpec { cells: 1, period: Duration::from_secs(1), burst };
            Line::new(&spec).expect("the quota is a usual one")
        }

        fn is_served(turn: &mut Turn<'_>) -> bool {
            pin!(turn).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        }

        fn turn(line: &Line, cost: u32) -> Turn<'_> {
            line.wait(cost).expect("the burst is large enough")
        }

        #[test]
        fn first_come_first_served() {
            let line = line(1);
            let [mut first, mut second, mut third] = [1; 3].map(|cost| turn(&line, cost));
            assert!(!is_served(&mut first), "nobody is served before `tick`");
            assert_eq!(line.tick(0), Some(SECOND), "the second is due after a second");
            assert!(is_served(&mut first) && !is_served(&mut second));
            assert_eq!(line.tick(SECOND - 1), Some(SECOND), "a nanosecond too early");
            assert_eq!(line.tick(SECOND), Some(2 * SECOND));
            assert!(is_served(&mut second) && !is_served(&mut third));
            assert_eq!(line.tick(2 * SECOND), None, "nobody is left");
            assert!(is_served(&mut third));
            assert!(line.wait(2).is_none(), "a burst of one never has two cells");
        }

        #[test]
        fn a_large_request_is_not_passed_by() {
            let line = line(3);
            drop(served(&line, 0, 3));
            let mut large = turn(&line, 3);
            let mut small = turn(&line, 1);
            let due = line.tick(SECOND);
            assert!(!is_served(&mut small), "one cell is there, but the first in line needs three");
            assert_eq!(due, Some(3 * SECOND));
            line.tick(3 * SECOND);
            assert!(is_served(&mut large) && !is_served(&mut small));
            line.tick(4 * SECOND);
            assert!(is_served(&mut small));
        }

        /// A turn that has had its cells.
        fn served(line: &Line, now: u64, cost: u32) -> Turn<'_> {
            let mut turn = turn(line, cost);
            line.tick(now);
            assert!(is_served(&mut turn), "{cost} cells are there at {now} ns");
            turn
        }

        #[test]
        fn who_leaves_makes_room() {
            let line = line(3);
            drop(served(&line, 0, 3));
            let large = turn(&line, 3);
            let mut small = turn(&line, 1);
            drop(large);
            line.tick(SECOND);
            assert!(is_served(&mut small), "the first in line has left, and one cell is there");
        }

        #[test]
        fn who_was_served_and_never_knew_gives_the_cells_back() {
            let line = line(2);
            let unaware = turn(&line, 2);
            line.tick(0);
            drop(unaware);
            let mut next = turn(&line, 2);
            line.tick(0);
            assert!(is_served(&mut next), "two cells were taken by one who left without them");
        }

        /// Between the two services the bucket was full: the first's cell has come again by then.
        #[test]
        fn what_has_come_since_is_not_given_twice() {
            let line = line(1);
            let unaware = turn(&line, 1);
            line.tick(0);
            let later = SECOND + SECOND / 2;
            let _other = served(&line, later, 1);
            drop(unaware);
            let mut next = turn(&line, 1);
            let due = line.tick(later);
            assert!(!is_served(&mut next), "two cells at one moment, of a burst of one");
            assert_eq!(due, Some(later + SECOND));
        }

        #[test]
        fn who_knew_gives_nothing_back() {
            let line = line(1);
            drop(served(&line, 0, 1));
            let mut next = turn(&line, 1);
            assert_eq!(line.tick(0), Some(SECOND), "the one cell has been used");
            assert!(!is_served(&mut next));
        }

        #[derive(Default)]
        struct Count(AtomicUsize);

        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                // Relaxed: one thread.
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        #[test]
        fn the_waker_of_the_last_poll_is_woken() {
            let line = line(1);
            let [former, latter] = [(); 2].map(|()| Arc::new(Count::default()));
            let mut turn = pin!(turn(&line, 1));
            for count in [&former, &latter] {
                let waker = Waker::from(Arc::clone(count));
                let polled = turn.as_mut().poll(&mut Context::from_waker(&waker));
                assert_eq!(polled, Poll::Pending);
            }
            line.tick(0);
            // Relaxed: one thread.
            let woken = latter.0.load(Ordering::Relaxed);
            assert_eq!(woken, 1, "the future moved to another task, which sleeps for ever");
        }

        /// People come, leave, and are served at random. Whatever happens, nobody is served before
        /// one who came earlier and is still there, and what was used never exceeds the quota.
        #[test]
        fn any_walk_keeps_order_and_quota() {
            with_seeds("stage_6::line::any_walk_keeps_order_and_quota", 300, walk);
        }

        fn walk(seed: u64) {
            let mut rng = SplitMix64::new(seed);
            let burst = u32::try_from(rng.below(4) + 1).expect("it is small");
            let line = line(burst);
            let (mut now, mut there, mut used) = (0, Vec::new(), Vec::new());
            for _ in 0..80 {
                match rng.below(4) {
                    0 | 1 => {
                        let cost = u32::try_from(rng.below(burst.into()) + 1).expect("small");
                        there.push((cost, turn(&line, cost)));
                    }
                    2 if !there.is_empty() => {
                        let index = usize::try_from(rng.below(there.len() as u64));
                        drop(there.remove(index.expect("small")));
                    }
                    _ => now += rng.below(3) * SECOND / 2,
                }
                line.tick(now);
                if rng.below(2) == 0 {
                    let mut is_open = true;
                    there.retain_mut(|(cost, turn)| {
                        let is_done = is_served(turn);
                        assert!(is_open || !is_done, "one was served before one who came earlier");
                        is_open = is_done;
                        if is_done {
                            used.push((now, u64::from(*cost)));
                        }
                        !is_done
                    });
                }
            }
            keeps_quota(&used, burst.into());
        }

        /// A cell may be used later than it was given; so at most a burst more than in the model.
        fn keeps_quota(used: &[(u64, u64)], burst: u64) {
            let total: u64 = used.iter().map(|it| it.1).sum();
            let most = used.last().map_or(0, |last| burst + last.0 / SECOND);
            assert!(total <= most, "{total} cells were used where the quota has {most}");
        }
    }

    #[test]
    fn no_wakeup_is_lost() {
        super::schedules::no_wakeup_is_lost("stage_6::no_wakeup_is_lost");
    }

    #[test]
    fn cells_are_neither_lost_nor_doubled() {
        super::schedules::cells_are_neither_lost_nor_doubled(
            "stage_6::cells_are_neither_lost_nor_doubled",
        );
    }
}

/// What you call yours: everything, before it is measured.
mod yours {
    use exercise_rate_limiter::exercise::Yours;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_rate_limiter::Judged;

        // Not `big_bursts`: those outgrow 64 bits, and may be refused.
        super::super::suite_properties!(limiter, Judged<super::Yours>:
            never_over_admits, never_denies_early, window_bound, retry_after_is_exact, burst_edges,
            long_run, slow_polling, clock_backwards, far_clock, threads_keep_the_bound,
        );
    }

    #[cfg(not(shuttle))]
    #[test]
    fn keeps_the_usual_quotas() {
        super::walks::keeps::<Yours>(&super::walks::WHOLE);
    }

    #[test]
    fn one_cell_goes_to_one_thread() {
        super::schedules::one_cell_goes_to_one_thread::<Yours>(
            "yours::one_cell_goes_to_one_thread",
        );
    }
}

/// Requests one after the other, beside the model.
#[cfg(not(shuttle))]
mod walks {
    use std::time::Duration;

    use exercise_rate_limiter::{Limit, LimiterSpec, Verdict};
    use harness::check::replay::with_seeds;
    use harness::model::ExactBucket;
    use harness::rng::SplitMix64;

    const fn quota(cells: u64, nanos: u64, burst: u32) -> LimiterSpec {
        LimiterSpec { cells, period: Duration::from_nanos(nanos), burst }
    }

    const SECOND: u64 = 1_000_000_000;

    /// Quotas whose cells come at whole nanoseconds.
    pub(crate) const WHOLE: [LimiterSpec; 5] = [
        quota(1, SECOND, 1),
        quota(1_000, SECOND, 1_000),
        quota(1_000_000_000, SECOND, 1_000_000_000),
        quota(1, 10, 3),
        quota(6, 60 * SECOND, 2),
    ];

    /// Quotas whose cells do not.
    pub(crate) const BROKEN: [LimiterSpec; 5] = [
        quota(3, SECOND, 2),
        quota(600_000_000, SECOND, 100),
        quota(7, 60 * SECOND, 3),
        quota(999_999_937, SECOND, 5),
        quota(3, 7, 2),
    ];

    pub(crate) fn keeps<L: Limit>(quotas: &[LimiterSpec]) {
        for spec in quotas {
            let refusal = L::new(spec).err();
            assert!(refusal.is_none(), "{spec:?} must be kept, not refused: {refusal:?}");
        }
    }

    /// A request every few nanoseconds, for every whole quota: the same verdict as the model's.
    pub(crate) fn decides_as_the_model<L: Limit>(name: &str) {
        with_seeds(name, 200, |seed| {
            for spec in &WHOLE {
                walk::<L>(&mut SplitMix64::new(seed), spec);
            }
        });
    }

    fn walk<L: Limit>(rng: &mut SplitMix64, spec: &LimiterSpec) {
        let limiter = L::new(spec).expect("the quota is to be kept");
        let mut model = ExactBucket::new(spec);
        let interval = u64::try_from(spec.period.as_nanos()).expect("it is short") / spec.cells;
        let (mut now, burst) = (0, u64::from(spec.burst));
        for step in 0..60 {
            // On a moment at which a cell comes, beside it, or anywhere.
            now += match rng.below(3) {
                0 => interval * rng.below(3),
                1 => rng.below(3),
                _ => rng.below(interval * 2 + 1),
            };
            let cost = match rng.below(8) {
                0 => burst + 1,
                1..4 => burst,
                _ => rng.below(burst.min(3)) + 1,
            };
            let cost = u32::try_from(cost).expect("bursts of the table are small");
            let expected = model.check(Duration::from_nanos(now), cost);
            let got = limiter.check(now, 0, cost);
            assert_eq!(
                got, expected,
                "{} in {:?}, burst {}: request {step}, for {cost} at {now} ns: yours, then the \
                 model's",
                spec.cells, spec.period, spec.burst
            );
        }
    }

    pub(crate) fn a_part_of_a_token_is_not_lost_to_asking<L: Limit>() {
        let limiter = L::new(&quota(1, 10, 3)).expect("the quota is to be kept");
        assert_eq!(limiter.check(0, 0, 3), Verdict::Admit, "the bucket begins full");
        let admitted = (1..=90).filter(|now| limiter.check(*now, 0, 1).is_admit()).count();
        assert_eq!(admitted, 9, "a token every 10 ns, asked for every ns for 90 ns");
    }

    pub(crate) fn a_full_bucket_takes_no_more<L: Limit>() {
        let limiter = L::new(&quota(1, 10, 3)).expect("the quota is to be kept");
        let admitted = (0..5).filter(|_| limiter.check(1_000, 0, 1).is_admit()).count();
        assert_eq!(admitted, 3, "of a burst of 3 that was left alone for a hundred intervals");
    }
}

/// Few operations, under many schedules. In a plain build the machine chooses them.
mod schedules {
    use std::pin::pin;
    use std::sync::Arc as StdArc;
    use std::sync::atomic::{AtomicBool, Ordering as StdOrdering};
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use exercise_rate_limiter::exercise::Line;
    use exercise_rate_limiter::{Limit, LimiterSpec};
    use harness::check::schedule::explore;
    use harness::sync::{Arc, thread};

    const SECOND: u64 = 1_000_000_000;

    fn spec(burst: u32) -> LimiterSpec {
        LimiterSpec { cells: 1, period: Duration::from_secs(1), burst }
    }

    fn make<L: Limit>(burst: u32) -> Arc<L> {
        Arc::new(L::new(&spec(burst)).expect("the quota is a usual one"))
    }

    pub(crate) fn one_cell_goes_to_one_thread<L: Limit + 'static>(name: &str) {
        explore(name, || {
            let limiter = make::<L>(1);
            let ask = || {
                let limiter = Arc::clone(&limiter);
                thread::spawn(move || u32::from(limiter.check(0, 7, 1).is_admit()))
            };
            let threads = [ask(), ask(), ask()];
            let admitted: u32 =
                threads.into_iter().map(|it| it.join().expect("no thread panics")).sum();
            assert_eq!(admitted, 1, "of three threads that ask for one cell");
        });
    }

    pub(crate) fn who_is_denied_disturbs_nobody<L: Limit + 'static>(name: &str) {
        explore(name, || {
            let limiter = make::<L>(3);
            assert!(limiter.check(0, 7, 2).is_admit(), "the bucket begins full");
            let ask = |cost: u32| {
                let limiter = Arc::clone(&limiter);
                thread::spawn(move || limiter.check(0, 7, cost).is_admit())
            };
            let (large, small) = (ask(2), ask(1));
            assert!(!large.join().expect("no thread panics"), "two cells, where there is one");
            assert!(
                small.join().expect("no thread panics"),
                "one cell is there, and was denied because another asked for too many"
            );
        });
    }

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: StdArc<Self>) {
            // Relaxed: read after the threads have ended.
            self.0.store(true, StdOrdering::Relaxed);
        }
    }

    pub(crate) fn no_wakeup_is_lost(name: &str) {
        explore(name, || {
            let line = Arc::new(Line::new(&spec(1)).expect("the quota is a usual one"));
            let woken = StdArc::new(Flag(AtomicBool::new(false)));
            let ticker = {
                let line = Arc::clone(&line);
                thread::spawn(move || {
                    line.tick(0);
                })
            };
            let mut turn = pin!(line.wait(1).expect("the burst is large enough"));
            let waker = Waker::from(StdArc::clone(&woken));
            let is_ready = turn.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            ticker.join().expect("no thread panics");
            line.tick(0);
            // Relaxed: the thread has ended.
            let woken = woken.0.load(StdOrdering::Relaxed);
            assert!(is_ready || woken, "it was served and sleeps for ever");
        });
    }

    pub(crate) fn cells_are_neither_lost_nor_doubled(name: &str) {
        explore(name, || {
            let line = Arc::new(Line::new(&spec(2)).expect("the quota is a usual one"));
            let leaver = {
                let line = Arc::clone(&line);
                thread::spawn(move || drop(line.wait(2)))
            };
            line.tick(0);
            leaver.join().expect("no thread panics");
            let mut context = Context::from_waker(Waker::noop());
            let mut served = 0;
            for _ in 0..3 {
                let mut turn = pin!(line.wait(1).expect("the burst is large enough"));
                line.tick(0);
                served += u32::from(turn.as_mut().poll(&mut context).is_ready());
            }
            assert_eq!(served, 2, "of a burst of 2, of which one who left has used nothing");
            assert_eq!(line.tick(SECOND), None, "nobody is left in the line");
        });
    }
}
