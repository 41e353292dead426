//! Futures polled by hand on virtual time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Acquire, AcquireError, FairLimiter, Timer};
use crate::{Carry, Clock, ManualClock, Quota, Timestamp};

/// A clock and its alarms.
#[derive(Clone, Default)]
struct World {
    clock: Arc<ManualClock>,
    alarms: Arc<Mutex<BTreeMap<(Timestamp, usize), Waker>>>,
    /// How many sleeps there have been.
    sleeps: Arc<AtomicUsize>,
}

struct Sleep {
    world: World,
    id: usize,
    until: Timestamp,
}

impl Timer for World {
    type Sleep = Sleep;

    fn sleep(&self, duration: Duration) -> Sleep {
        let id = self.sleeps.fetch_add(1, Ordering::Relaxed);
        Sleep { world: self.clone(), id, until: self.clock.now() + duration }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.world.clock.now() >= self.until {
            return Poll::Ready(());
        }
        let mut alarms = self.world.alarms.lock().unwrap();
        alarms.insert((self.until, self.id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.world.alarms.lock().unwrap().remove(&(self.until, self.id));
    }
}

impl World {
    /// Moves to the next alarm up to `end`, or to `end`, and wakes who is to be woken.
    fn step(&self, end: Timestamp) {
        let first = self.alarms.lock().unwrap().keys().next().map(|&(at, _)| at);
        self.clock.set(first.map_or(end, |at| at.min(end)));
        let now = self.clock.now();
        loop {
            let mut alarms = self.alarms.lock().unwrap();
            let Some(entry) = alarms.first_entry().filter(|it| it.key().0 <= now) else { return };
            let waker = entry.remove();
            drop(alarms);
            waker.wake();
        }
    }
}

/// Notes that it was woken.
struct Flag(AtomicUsize);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Limiter = FairLimiter<World, Arc<ManualClock>>;

/// A future and whether it wants to be polled.
struct Task<'a> {
    future: Acquire<'a, World, Arc<ManualClock>>,
    flag: Arc<Flag>,
    number: usize,
}

impl<'a> Task<'a> {
    fn new(future: Acquire<'a, World, Arc<ManualClock>>, number: usize) -> Self {
        Self { future, flag: Arc::new(Flag(AtomicUsize::new(1))), number }
    }

    /// Polls it if it was woken; true once it is ready.
    fn run(&mut self) -> bool {
        if self.flag.0.swap(0, Ordering::Relaxed) == 0 {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.flag));
        let poll = pin!(&mut self.future).poll(&mut Context::from_waker(&waker));
        matches!(poll, Poll::Ready(Ok(())))
    }
}

fn limiter(quota: Quota) -> (World, Limiter) {
    let world = World::default();
    let limiter = FairLimiter::with_clock(quota, world.clone(), Arc::clone(&world.clock));
    (world, limiter)
}

/// Polls until nobody wants to be; who became ready leaves the list, in order.
fn settle(tasks: &mut Vec<Task<'_>>) -> Vec<usize> {
    let mut served = Vec::new();
    loop {
        let before = served.len();
        tasks.retain_mut(|task| {
            let ready = task.run();
            if ready {
                served.push(task.number);
            }
            !ready
        });
        let woken = |task: &Task<'_>| task.flag.0.load(Ordering::Relaxed) > 0;
        if served.len() == before && !tasks.iter().any(woken) {
            return served;
        }
    }
}

/// Who came, when, and for how much: those who left before they were due never came.
type Arrival = (usize, u64, u64);

/// When each is due, by the definition: a bucket that may be overdrawn, in parts of `1 / cells` ns.
fn timetable(arrivals: &[Arrival], (cells, period, burst): (u64, u64, u64)) -> Vec<(usize, u64)> {
    let wide = |n: u64| u128::from(n);
    let (mut full, tolerance) = (0_u128, wide(burst) * wide(period));
    let due = |&(number, at, cost): &Arrival| {
        full = full.max(wide(at) * wide(cells)) + wide(cost) * wide(period);
        let due = full.saturating_sub(tolerance).div_ceil(wide(cells));
        (number, u64::try_from(due).unwrap().max(at))
    };
    arrivals.iter().map(due).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Arrive(u64),
    Cancel(prop::sample::Index),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (1..4_u64).prop_map(Step::Arrive),
        3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        3 => (0..15_u64).prop_map(Step::Advance),
    ];
    vec(step, 1..60)
}

proptest! {
    /// Whoever is not cancelled is served in order of arrival, at the very nanosecond of the
    /// timetable of all who were not.
    #[test]
    fn waiters_keep_the_timetable(
        (cells, period, burst) in (1..8_u64, 1..40_u64, 3..6_u64),
        steps in steps(),
    ) {
        let parts = (cells, period, burst);
        let quota = Quota::new(cells, Duration::from_nanos(period)).unwrap();
        let (world, limiter) = limiter(quota.with_burst(burst).unwrap());
        let mut tasks: Vec<Task<'_>> = Vec::new();
        let mut arrivals: Vec<Arrival> = Vec::new();
        let mut served: Vec<usize> = Vec::new();
        for (number, step) in steps.into_iter().chain([Step::Advance(1 << 20)]).enumerate() {
            let mut end = world.clock.now();
            match step {
                Step::Arrive(cost) => {
                    arrivals.push((number, end.as_nanos(), cost));
                    tasks.push(Task::new(limiter.acquire(cost), number));
                }
                Step::Cancel(_) if tasks.is_empty() => {}
                Step::Cancel(index) => {
                    let task = tasks.remove(index.index(tasks.len()));
                    arrivals.retain(|&(number, ..)| number != task.number);
                    drop(task);
                }
                Step::Advance(nanos) => end = end + Duration::from_nanos(nanos),
            }
            // What an arrival or a departure makes due may have been due earlier, had it been so.
            let mut time_passed = false;
            loop {
                let now = world.clock.now().as_nanos();
                let due: BTreeMap<_, _> = timetable(&arrivals, parts).into_iter().collect();
                for number in settle(&mut tasks) {
                    prop_assert!(due[&number] <= now, "{} is early", number);
                    prop_assert!(!time_passed || due[&number] == now, "{} is late", number);
                    served.push(number);
                }
                let is_late = |task: &&Task<'_>| due[&task.number] <= now;
                prop_assert!(!tasks.iter().any(|task| is_late(&task)), "not served at {}", now);
                if world.clock.now() >= end {
                    break;
                }
                world.step(end);
                time_passed = true;
            }
        }
        prop_assert!(tasks.is_empty() && limiter.waiting() == 0);
        let order: Vec<_> = arrivals.iter().map(|&(number, ..)| number).collect();
        prop_assert_eq!(served, order);
    }
}

/// When each of four is served, one cell a second, the first after one, where the quota becomes
/// `next` after a second and a half.
fn served_after_a_change(next: Quota) -> Vec<(usize, u64)> {
    let (world, limiter) = limiter(Quota::per_second(1).unwrap());
    assert!(limiter.check_n(1).is_admitted());
    let mut tasks: Vec<_> = (0..4).map(|number| Task::new(limiter.acquire(1), number)).collect();
    let change = Timestamp::from_nanos(1_500_000_000);
    let mut served = Vec::new();
    let mut note = |tasks: &mut Vec<Task<'_>>| {
        let now = world.clock.now().as_nanos() / 1_000_000;
        served.extend(settle(tasks).into_iter().map(|number| (number, now)));
    };
    note(&mut tasks);
    while world.clock.now() < change {
        world.step(change);
        note(&mut tasks);
    }
    limiter.set_quota(next, Carry::Fraction);
    assert_eq!(limiter.quota(), next);
    while !tasks.is_empty() {
        note(&mut tasks);
        world.step(Timestamp::MAX);
    }
    served
}

#[test]
fn who_waits_gets_its_cells_at_the_new_rate() {
    // Half a cell is missing to the first who waits, and then one to each.
    let faster = served_after_a_change(Quota::per_second(2).unwrap().with_burst(1).unwrap());
    assert_eq!(faster, [(0, 1_000), (1, 1_750), (2, 2_250), (3, 2_750)]);
    let slower = served_after_a_change(Quota::new(1, Duration::from_secs(2)).unwrap());
    assert_eq!(slower, [(0, 1_000), (1, 2_500), (2, 4_500), (3, 6_500)]);
}

proptest! {
    /// Under quotas that change, whoever is not cancelled is served in order of arrival, and
    /// between two changes never more than the quota allows.
    #[test]
    fn waiters_keep_every_quota(
        first in (1..8_u64, 1..40_u64, 3..6_u64),
        steps in vec((
            prop_oneof![
                5 => (1..4_u64).prop_map(Step::Arrive),
                2 => any::<prop::sample::Index>().prop_map(Step::Cancel),
                3 => (0..15_u64).prop_map(Step::Advance),
            ],
            prop::option::weighted(0.15, (
                (1..8_u64, 1..40_u64, 3..6_u64),
                prop_oneof![Just(Carry::Fraction), Just(Carry::Cells), Just(Carry::Full)],
            )),
        ), 1..60),
    ) {
        let quota = |(cells, period, burst): (u64, u64, u64)| {
            Quota::new(cells, Duration::from_nanos(period)).unwrap().with_burst(burst).unwrap()
        };
        let (world, limiter) = limiter(quota(first));
        let (mut tasks, mut arrivals) = (Vec::<Task<'_>>::new(), Vec::new());
        let (mut served, mut epochs) = (Vec::new(), vec![(first, Vec::new())]);
        let last = (Step::Advance(1 << 20), None);
        for (number, (step, change)) in steps.into_iter().chain([last]).enumerate() {
            let mut end = world.clock.now();
            match step {
                Step::Arrive(cost) => {
                    arrivals.push((number, cost));
                    tasks.push(Task::new(limiter.acquire(cost), number));
                }
                Step::Cancel(_) if tasks.is_empty() => {}
                Step::Cancel(index) => {
                    let task = tasks.remove(index.index(tasks.len()));
                    arrivals.retain(|&(number, _)| number != task.number);
                    drop(task);
                }
                Step::Advance(nanos) => end = end + Duration::from_nanos(nanos),
            }
            loop {
                for number in settle(&mut tasks) {
                    let cost = arrivals.iter().find(|it| it.0 == number).unwrap().1;
                    epochs.last_mut().unwrap().1.push((world.clock.now().as_nanos(), cost));
                    served.push(number);
                }
                if world.clock.now() >= end {
                    break;
                }
                world.step(end);
            }
            if let Some((next, carry)) = change {
                limiter.set_quota(quota(next), carry);
                epochs.push((next, Vec::new()));
            }
        }
        prop_assert!(tasks.is_empty() && limiter.waiting() == 0);
        prop_assert!(served.iter().copied().eq(arrivals.iter().map(|it| it.0)), "out of order");
        for ((cells, period, burst), served) in epochs {
            for (first, &(start, _)) in served.iter().enumerate() {
                let mut sum = 0;
                for &(at, cost) in &served[first..] {
                    sum += cost;
                    // A moment is rounded up to the nanosecond.
                    let most = burst * period + (at - start + 1) * cells;
                    prop_assert!(sum * period <= most, "{} cells from {} to {}", sum, start, at);
                }
            }
        }
        world.clock.advance(Duration::from_secs(1));
        prop_assert!(limiter.check_n(limiter.quota().burst()).is_admitted(), "cells are lost");
    }
}

/// Drops a waiter after every number of polls; the next one must not notice that it was there.
#[test]
fn a_future_may_be_dropped_after_every_poll() {
    let quota = Quota::per_second(1).unwrap();
    for polls in 0..4 {
        let (world, limiter) = limiter(quota);
        assert!(limiter.check_n(1).is_admitted());
        let mut doomed = Task::new(limiter.acquire(1), 0);
        for _ in 0..polls {
            doomed.flag.0.store(1, Ordering::Relaxed);
            assert!(!doomed.run());
            world.clock.advance(Duration::from_millis(100));
        }
        let mut tasks = vec![Task::new(limiter.acquire(1), 1)];
        settle(&mut tasks);
        drop(doomed);
        settle(&mut tasks);
        assert_eq!(limiter.waiting(), 1, "after {polls} polls");
        world.step(Timestamp::MAX);
        assert_eq!(settle(&mut tasks), [1], "after {polls} polls");
        assert_eq!(world.clock.now(), Timestamp::from_nanos(1_000_000_000));
    }
}

/// governor's large requests are overtaken for ever: a task of 10 got 2 turns where 143 were fair.
#[test]
fn like_starving_a_large_request() {
    let (world, limiter) = limiter(Quota::per_second(1_000).unwrap().with_burst(10).unwrap());
    let mut tasks: Vec<_> = (0..20).map(|number| Task::new(limiter.acquire(1), number)).collect();
    tasks.insert(10, Task::new(limiter.acquire(10), 99));
    let (mut turns, mut large) = (0, 0);
    let end = Timestamp::ZERO + Duration::from_secs(3);
    while world.clock.now() < end {
        for number in settle(&mut tasks) {
            turns += 1;
            large += u64::from(number == 99);
            let cost = if number == 99 { 10 } else { 1 };
            tasks.push(Task::new(limiter.acquire(cost), number));
        }
        world.step(end);
    }
    // Each round is 20 small turns and a large one: 30 cells.
    assert!((99..=102).contains(&large), "{large} of {turns} turns");
}

/// governor's waiters race for each cell: 2,000 of them end up to 672 places from their order.
#[test]
fn like_a_herd_that_loses_its_order() {
    let (world, limiter) = limiter(Quota::per_second(1_000).unwrap().with_burst(1).unwrap());
    let mut tasks: Vec<_> =
        (0..2_000).map(|number| Task::new(limiter.acquire(1), number)).collect();
    let mut served = settle(&mut tasks);
    while !tasks.is_empty() {
        world.step(Timestamp::MAX);
        served.extend(settle(&mut tasks));
    }
    assert!(served.iter().copied().eq(0..2_000), "displaced");
    assert_eq!(world.clock.now().as_nanos(), 1_999_000_000);
    assert_eq!(world.sleeps.load(Ordering::Relaxed), 1_999, "one timer a waiter");
}

#[test]
fn a_wait_that_is_too_long_is_refused_at_once_and_takes_nothing() {
    let (_world, limiter) = limiter(Quota::per_second(10).unwrap().with_burst(2).unwrap());
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = |future: Acquire<'_, World, Arc<ManualClock>>| {
        let mut future = future;
        Pin::new(&mut future).poll(&mut context)
    };
    assert_eq!(
        poll(limiter.acquire(3)),
        Poll::Ready(Err(AcquireError::TooLarge { cells: 3, burst: 2 }))
    );
    assert_eq!(poll(limiter.acquire(2).within(Duration::ZERO)), Poll::Ready(Ok(())));
    let (wait, short) = (Duration::from_millis(100), Duration::from_nanos(99_999_999));
    for _ in 0..3 {
        let refused = poll(limiter.acquire(1).within(short));
        assert_eq!(refused, Poll::Ready(Err(AcquireError::TooLate { wait })));
    }
    assert_eq!(poll(limiter.acquire(1).within(wait)), Poll::Pending);
    assert_eq!(limiter.waiting(), 0, "it was dropped");
}

/// A future whose moment has come gives back only what cannot have been replenished.
#[test]
fn a_moment_that_was_missed_is_not_given_twice() {
    let (world, limiter) = limiter(Quota::per_second(1).unwrap());
    assert!(limiter.check_n(1).is_admitted());
    let mut missed = Task::new(limiter.acquire(1), 0);
    assert!(!missed.run());
    world.clock.set(Timestamp::ZERO + Duration::from_secs(10));
    // The bucket is full again, and somebody takes from it.
    assert!(limiter.check_n(1).is_admitted());
    drop(missed);
    assert!(!limiter.check_n(1).is_admitted(), "the same cell twice");
}

#[test]
fn the_end_of_the_clock_refuses_instead_of_wrapping() {
    let day = Duration::from_hours(24);
    let quota = Quota::new(1, day * 36_500).unwrap().with_burst(2).unwrap();
    let (_world, limiter) = limiter(quota);
    let mut waiting = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    let refused = (0..100).find_map(|_| {
        let mut future = limiter.acquire(2);
        if let Poll::Ready(Err(error)) = Pin::new(&mut future).poll(&mut context) {
            return Some(error);
        }
        waiting.push(future);
        None
    });
    assert!(matches!(refused, Some(AcquireError::TooLate { .. })), "{refused:?}");
    assert!((1..=3).contains(&waiting.len()), "584 years have no room for {}", waiting.len());
}

/// A waker whose destructor comes back to the limiter, as that of the last reference to a task does
/// whose future waits there.
struct Returns(Arc<Limiter>);

impl Wake for Returns {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Returns {
    fn drop(&mut self) {
        assert!(self.0.waiting() <= 2);
    }
}

/// A waker is the runtime's code: none is dropped under the lock of the line, or the runtime waits
/// for itself.
#[test]
fn wakers_may_come_back_when_they_are_dropped() {
    let (done, is_done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (world, limiter) = limiter(Quota::per_second(1).unwrap());
        let limiter = Arc::new(limiter);
        assert!(limiter.check_n(1).is_admitted());
        let waker = || Waker::from(Arc::new(Returns(Arc::clone(&limiter))));
        let poll = |future: &mut Acquire<'_, _, _>| {
            Pin::new(future).poll(&mut Context::from_waker(&waker()))
        };
        let mut served = limiter.acquire(1);
        let mut leaving = limiter.acquire(1);
        // Each poll brings another waker, which takes the place of the one before.
        assert!((0..2).all(|_| poll(&mut served).is_pending() && poll(&mut leaving).is_pending()));
        drop(leaving);
        world.step(Timestamp::from_nanos(1_000_000_000));
        assert!(poll(&mut served).is_ready());
        done.send(()).unwrap();
    });
    let patience = Duration::from_secs(20);
    assert_eq!(is_done.recv_timeout(patience), Ok(()), "the limiter waits for itself");
}
