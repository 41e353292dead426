//! A herd: many tasks come at once, and each waits for a cell.
//!
//! Tasks of one thread wait for a cell each of a bucket that gives a thousand a second, so that the
//! last of two thousand can be served after two seconds and no sooner. An operation is a task that
//! was served. The displacement is how far from the place in which it came a task was served, at
//! most. The floor is no limiter: its tasks sleep until their turn, which nobody can undercut.
//!
//! Each contender has a process, since a timer may be a thread of its own, whose time counts too.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness::contract::{LimiterSpec, Unsupported, WaitingLimiter};
use harness::duel::{Contender, Line, OwnFigures, Subject};
use harness::workload::{Size, Sizes};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::{BUILD, OURS};
use crate::adapters::{governor, leaky_bucket, rate_limiter};

/// A cell a millisecond, and one at once.
const SPEC: LimiterSpec = LimiterSpec { cells: 1_000, period: Duration::from_secs(1), burst: 1 };

/// Tasks of a herd.
const HERD: Sizes = Sizes { smoke: 20, quick: 2_000, full: 2_000 };

/// The line.
pub(super) fn line() -> Line {
    let contenders = vec![
        contender::<rate_limiter::Waiting>(OURS),
        contender::<governor::Waiting>("0.10.4"),
        contender::<leaky_bucket::Waiting>("1.1.2"),
        contender::<TimerAlone>(OURS),
    ];
    Line::new(BUILD, "wait/herd/2k", 1, contenders).exactly(HERD).costly().separate()
}

fn contender<L: WaitingLimiter + 'static>(version: &'static str) -> Contender {
    Contender { name: L::NAME, version, ours: L::NAME == BUILD, make: Herd::<L>::make }
}

/// Tasks that sleep until their turn.
struct TimerAlone {
    interval: Duration,
    next: AtomicU64,
}

impl WaitingLimiter for TimerAlone {
    const NAME: &'static str = "floor";

    fn new(spec: &LimiterSpec) -> Result<Self, Unsupported> {
        let cells = u32::try_from(spec.cells);
        let cells = cells.map_err(|_| Unsupported("fewer than 2^32 cells a period".to_owned()))?;
        Ok(Self { interval: spec.period / cells, next: AtomicU64::new(0) })
    }

    async fn acquire(&self) {
        // Relaxed: a count.
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        let place = u32::try_from(place).expect("a herd is small");
        tokio::time::sleep(self.interval * place).await;
    }
}

/// Herds that come one after the other, each to a limiter of its own.
struct Herd<L> {
    displacement: AtomicU64,
    _limiter: PhantomData<fn() -> L>,
}

impl<L: WaitingLimiter + 'static> Herd<L> {
    fn make(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
        L::new(&SPEC)?;
        Ok(Box::new(Self { displacement: AtomicU64::new(0), _limiter: PhantomData }))
    }
}

impl<L: WaitingLimiter + 'static> Subject for Herd<L> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime can be made");
        let limiter = Rc::new(L::new(&SPEC).expect("one was made before"));
        let served = Rc::new(RefCell::new(Vec::new()));
        let tasks = LocalSet::new();
        for place in 0..operations {
            let (limiter, served) = (Rc::clone(&limiter), Rc::clone(&served));
            tasks.spawn_local(async move {
                limiter.acquire().await;
                served.borrow_mut().push(place);
            });
        }
        runtime.block_on(tasks);

        let served = served.borrow();
        let places = (0..).zip(served.iter());
        let displacement = places.map(|(turn, &place): (u64, &u64)| place.abs_diff(turn)).max();
        // Relaxed: a figure, read when nobody runs.
        self.displacement.fetch_max(displacement.unwrap_or(0), Ordering::Relaxed);
        served.len() as u64
    }

    fn own_figures(&self) -> OwnFigures {
        OwnFigures {
            displacement: Some(self.displacement.swap(0, Ordering::Relaxed) as f64),
            ..OwnFigures::default()
        }
    }
}
