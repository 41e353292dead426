//! The processor's time stamp counter: the cheapest clock there is, once it has proved itself.
//!
//! A reading is one `rdtsc` and one multiplication, less than half of what `CLOCK_MONOTONIC`
//! costs. The counter is only a clock where it ticks at one rate on all processors and shows the
//! same value on all of them; virtual machines and old boards break both. So [`TscClock::new`]
//! checks before it hands out a clock, once in a process:
//!
//! 1. The processor says that the counter is *invariant* (CPUID leaf `8000_0007h`, EDX bit 8).
//! 2. Two threads, pinned to two processors, read the counter in turns for a while; neither may
//!    ever see less than the other saw before (the kernel's own `check_tsc_warp` works so). The
//!    first processor is tried against each other one that the process may use.
//! 3. The rate is measured against `CLOCK_MONOTONIC` over [`CALIBRATION`]. Each end of the
//!    measurement is the tightest of several bracketed readings, which leaves an error of about
//!    one part in a million.
//!
//! [`FastClock`] is what most callers want: this counter where it is usable, `CLOCK_MONOTONIC`
//! elsewhere.
//!
//! # What this module does not do
//!
//! It does not follow the corrections that the kernel makes to `CLOCK_MONOTONIC` after the
//! calibration, so the two drift apart by as much as the machine's crystal is off. It does not
//! fence a reading: the processor may take it some ten nanoseconds early, and a later reading on
//! another processor may be smaller by that much. Users of a [`Clock`] must bear that anyway.

use std::hint::cold_path;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Clock, MonotonicClock, Timestamp};

/// Over how long the counter's rate is measured.
const CALIBRATION: Duration = Duration::from_millis(20);

/// How often the two processors of a pair read the counter in turns.
const EXCHANGES: usize = 2_000;

/// Why the time stamp counter cannot serve as a clock on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TscUnusable {
    /// The processor has no counter that this crate knows how to read.
    #[error("this processor has no time stamp counter; use MonotonicClock")]
    Missing,
    /// The counter changes its rate with the processor's frequency or stops in sleep states.
    #[error("the time stamp counter is not invariant on this processor; use MonotonicClock")]
    NotInvariant,
    /// Two processors show different times.
    #[error(
        "processors {first} and {second} disagree about the time stamp counter by {ticks} ticks \
         or more; use MonotonicClock"
    )]
    Unsynchronised {
        /// The one processor.
        first: usize,
        /// The other processor.
        second: usize,
        /// By how many ticks the counter seemed to run backwards, at least.
        ticks: u64,
    },
    /// The counter stood still or ran slower than 1 GHz during the calibration.
    #[error("the time stamp counter advanced {ticks} ticks in {nanos} ns; use MonotonicClock")]
    Implausible {
        /// What the counter advanced.
        ticks: u64,
        /// What `CLOCK_MONOTONIC` advanced.
        nanos: u64,
    },
}

/// The time stamp counter as a clock. All values of one process share one origin.
#[derive(Clone, Copy, Debug)]
pub struct TscClock {
    /// The counter at the origin.
    origin: u64,
    /// Nanoseconds a tick, times 2^64. Invariant: the counter runs faster than 1 GHz, so that
    /// the fraction is below one.
    nanos_per_tick: u64,
}

impl TscClock {
    /// The clock of this process, or why there is none. The first call takes about 25 ms, every
    /// later one returns what the first one found.
    pub fn new() -> Result<Self, TscUnusable> {
        static SHARED: OnceLock<Result<TscClock, TscUnusable>> = OnceLock::new();
        SHARED.get_or_init(Self::examine).clone()
    }

    fn examine() -> Result<Self, TscUnusable> {
        counter::require_invariant()?;
        warp::require_synchronised()?;
        Self::calibrate()
    }

    fn calibrate() -> Result<Self, TscUnusable> {
        let clock = MonotonicClock::new();
        let start = Bracket::tightest(&clock);
        clock.sleep(CALIBRATION);
        let end = Bracket::tightest(&clock);
        let ticks = end.ticks.saturating_sub(start.ticks);
        let nanos = end.nanos - start.nanos;
        if ticks <= nanos {
            return Err(TscUnusable::Implausible { ticks, nanos });
        }
        // The quotient of two numbers of which the second is larger is below 2^64.
        let nanos_per_tick = u64::try_from((u128::from(nanos) << 64) / u128::from(ticks))
            .expect("a fraction below one fits");
        Ok(Self { origin: start.ticks, nanos_per_tick })
    }
}

impl Clock for TscClock {
    #[inline(always)]
    fn now(&self) -> Timestamp {
        // A processor that lags behind by some ticks may be before the origin. It is a branch,
        // which the processor foresees: a saturating subtraction would be one more step to
        // wait for.
        let Some(ticks) = counter::read().checked_sub(self.origin) else {
            cold_path();
            return Timestamp::ZERO;
        };
        let nanos = (u128::from(ticks) * u128::from(self.nanos_per_tick)) >> 64;
        Timestamp::from_nanos(nanos as u64)
    }

    fn sleep(&self, duration: Duration) {
        MonotonicClock::new().sleep(duration);
    }
}

/// The time stamp counter where it can be trusted, `CLOCK_MONOTONIC` elsewhere.
#[derive(Clone, Copy, Debug)]
pub enum FastClock {
    /// The counter passed its examination.
    Tsc(TscClock),
    /// It did not.
    Monotonic(MonotonicClock),
}

impl FastClock {
    /// The best clock of this machine. The first call in a process takes about 25 ms. All values
    /// of one process share one origin.
    pub fn new() -> Self {
        static FALLBACK: OnceLock<MonotonicClock> = OnceLock::new();
        match TscClock::new() {
            Ok(clock) => Self::Tsc(clock),
            Err(_) => Self::Monotonic(*FALLBACK.get_or_init(MonotonicClock::new)),
        }
    }
}

impl Default for FastClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FastClock {
    #[inline(always)]
    fn now(&self) -> Timestamp {
        match self {
            Self::Tsc(clock) => clock.now(),
            Self::Monotonic(clock) => ask_system(clock),
        }
    }

    fn sleep(&self, duration: Duration) {
        MonotonicClock::new().sleep(duration);
    }
}

/// Not a part of what callers of [`FastClock::now`] inline, whose registers a call takes.
#[cold]
#[inline(never)]
fn ask_system(clock: &MonotonicClock) -> Timestamp {
    clock.now()
}

/// The counter and `CLOCK_MONOTONIC` at nearly the same moment.
struct Bracket {
    ticks: u64,
    nanos: u64,
}

impl Bracket {
    /// The reading during which the counter moved least, so that nothing came between.
    fn tightest(clock: &MonotonicClock) -> Self {
        let sample = |_| {
            let before = counter::read_fenced();
            let nanos = clock.now().as_nanos();
            let width = counter::read_fenced().saturating_sub(before);
            (width, Self { ticks: before + width / 2, nanos })
        };
        let samples = (0..64).map(sample);
        samples.min_by_key(|&(width, _)| width).expect("64 samples are not none").1
    }
}

/// Two processors taking turns.
mod warp {
    use std::sync::{Barrier, Mutex};
    use std::thread;

    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use super::{EXCHANGES, TscUnusable, counter};

    /// Tries the first processor of the process against each other one.
    pub(super) fn require_synchronised() -> Result<(), TscUnusable> {
        // Without the list of processors there is no telling; one processor agrees with itself.
        let Ok(allowed) = sched_getaffinity(None) else { return Ok(()) };
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
        let Some(first) = usable.next() else { return Ok(()) };
        for second in usable {
            let ticks = largest_warp(first, second);
            if ticks > 0 {
                return Err(TscUnusable::Unsynchronised { first, second, ticks });
            }
        }
        Ok(())
    }

    /// By how many ticks the counter ran backwards at worst while two processors read it.
    fn largest_warp(first: usize, second: usize) -> u64 {
        let latest = Mutex::new(0_u64);
        let start = Barrier::new(2);
        let read_on = |cpu: usize| {
            let mut only = CpuSet::new();
            only.set(cpu);
            // Where pinning is forbidden, the scheduler spreads the two threads itself.
            let _forbidden = sched_setaffinity(None, &only);
            start.wait();
            let mut warp = 0;
            for _ in 0..EXCHANGES {
                let mut latest = latest.lock().expect("no holder of this lock panics");
                let ticks = counter::read_fenced();
                warp = warp.max(latest.saturating_sub(ticks));
                *latest = ticks;
            }
            warp
        };
        thread::scope(|scope| {
            let one = scope.spawn(|| read_on(first));
            let other = scope.spawn(|| read_on(second));
            let one = one.join().expect("reading a counter does not panic");
            one.max(other.join().expect("reading a counter does not panic"))
        })
    }
}

#[cfg(target_arch = "x86_64")]
mod counter {
    #![expect(unsafe_code, reason = "the counter is read by an instruction without a safe form")]

    use std::arch::x86_64::{__cpuid, _mm_lfence, _rdtsc};

    use super::TscUnusable;

    /// CPUID leaf that describes power management.
    const POWER_LEAF: u32 = 0x8000_0007;
    /// EDX bit of that leaf: the counter ticks at one rate in all states.
    const INVARIANT: u32 = 1 << 8;

    pub(super) fn require_invariant() -> Result<(), TscUnusable> {
        let known = __cpuid(0x8000_0000).eax;
        if known >= POWER_LEAF && __cpuid(POWER_LEAF).edx & INVARIANT != 0 {
            Ok(())
        } else {
            Err(TscUnusable::NotInvariant)
        }
    }

    #[inline(always)]
    pub(super) fn read() -> u64 {
        // SAFETY: every x86-64 processor has the instruction, and it touches no memory. A system
        // that forbids it to programs ends them with a signal; it never gives a wrong value.
        unsafe { _rdtsc() }
    }

    /// A reading that is taken after everything before it in the program.
    pub(super) fn read_fenced() -> u64 {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_lfence() };
        read()
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod counter {
    use super::TscUnusable;

    pub(super) fn require_invariant() -> Result<(), TscUnusable> {
        Err(TscUnusable::Missing)
    }

    pub(super) fn read() -> u64 {
        unreachable!("no clock is made where the counter is missing")
    }

    pub(super) fn read_fenced() -> u64 {
        read()
    }
}
