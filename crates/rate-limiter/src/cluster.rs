//! One quota for many processes: an authority grants leases of cells, members spend them.
//!
//! ```text
//!   member                                authority
//!     | Ask { id, want, settled } ----------> | forgets what is settled or has expired
//!     |                                       | takes from its bucket, notes what is held
//!     | <------------- Grant { id, cells } -- |
//!     | spends them until they expire         |
//! ```
//!
//! Neither does I/O: each is told the time and a message, and says what to send. Any transport will
//! do, lossy or not. A replicated log can be the authority by handling the same asks, at moments
//! that are written into the log, and with [`Authority::state`] as its snapshot.
//!
//! # The bound
//!
//! Cells are spent later than they are taken from the authority's bucket. What members can hold at
//! once, [`Terms::held`], is therefore kept out of that bucket's burst, as in
//! [`LeasedLimiter`](crate::LeasedLimiter):
//!
//! ```text
//!   spent in a stretch  <=  held when it began  +  granted in it
//!                       <=  held + (burst - held) + rate * t        =  burst + rate * t
//! ```
//!
//! over all members together, whatever the network and the processes do, as long as
//!
//! 1. no clock jumps back, and none runs faster or slower than true time by more than
//!    [`Terms::drift_ppm`] (offsets do not matter: no message carries a time);
//! 2. every process that starts takes a [`MemberId`] that was never used.
//!
//! A member counts the time of a lease from when it asked, and gives up earlier by twice the drift;
//! so the authority always believes longer than the member spends. A dead member takes with it what
//! it held, for one lease. An authority that starts anew begins with an empty bucket and grants
//! nothing for the time of a lease, since it does not know what is held.
//!
//! # What this module does not do
//!
//! It authenticates nobody: a member that spends what it was not granted breaks the bound.

use std::collections::VecDeque;
use std::time::Duration;

use env::clock::Timestamp;

use crate::quota::Quota;
use crate::single::Bucket;

/// A process, for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// What authority and members agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Cells that all members together may hold unspent. Less than the quota's burst.
    pub held: u64,
    /// Most cells of a lease. Not zero.
    pub lease: u64,
    /// How long the authority counts a lease as held.
    pub ttl: Duration,
    /// By how many parts per million a clock may be fast or slow. Less than half a million.
    pub drift_ppm: u32,
    /// How long a member waits for a grant before it asks again.
    pub patience: Duration,
}

/// Why terms cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The members would hold the whole burst, or nothing.
    #[error("{held} cells held leave nothing of a burst of {burst}, or nothing to hold")]
    Held {
        /// Cells that may be held.
        held: u64,
        /// The quota's burst.
        burst: u64,
    },
    /// Leases without cells.
    #[error("a lease of no cells gives nothing to spend; let it have at least one")]
    Lease,
    /// Clocks that may drift by half their rate or more.
    #[error(
        "a drift of {drift_ppm} parts per million leaves nothing of a lease; stay below 500000"
    )]
    Drift {
        /// The drift that was given.
        drift_ppm: u32,
    },
    /// A state of another quota, or of terms under which more was held.
    #[error(
        "the state is none of an authority with this quota and these terms; restore under its own"
    )]
    State,
    /// A lease that is over as soon as it is granted.
    #[error("a member would spend from a lease of {ttl:?} for less than a nanosecond; lengthen it")]
    Ttl {
        /// The time that was given.
        ttl: Duration,
    },
}

impl Terms {
    /// How long a member spends from a lease: less than the authority counts it.
    fn spent_within(&self) -> Result<Duration, TermsError> {
        let Self { lease, ttl, drift_ppm, .. } = *self;
        if lease == 0 {
            return Err(TermsError::Lease);
        }
        if drift_ppm >= 500_000 {
            return Err(TermsError::Drift { drift_ppm });
        }
        let nanos = ttl.as_nanos();
        // ttl * (1 - drift) / (1 + drift) is at least ttl * (1 - 2 * drift).
        let early = (nanos * 2 * u128::from(drift_ppm)).div_ceil(1_000_000);
        let nanos = u64::try_from(nanos - early).unwrap_or(u64::MAX);
        if nanos == 0 {
            return Err(TermsError::Ttl { ttl });
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// The quota of the authority's bucket.
    fn common(&self, quota: Quota) -> Result<Quota, TermsError> {
        self.spent_within()?;
        let refused = TermsError::Held { held: self.held, burst: quota.burst() };
        let left = quota.burst().checked_sub(self.held).filter(|_| self.held > 0);
        left.and_then(|left| quota.with_burst(left).ok()).ok_or(refused)
    }
}

/// A member asks for cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Ascends from ask to ask of one member.
    pub id: u64,
    /// Cells wanted.
    pub want: u64,
    /// Nothing that was granted for an ask up to this one will be spent any more.
    pub settled: u64,
}

/// The authority grants cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The ask that is answered.
    pub id: u64,
    /// Cells granted. Never zero.
    pub cells: u64,
}

/// Grants cells out of one quota.
#[derive(Debug)]
pub struct Authority {
    bucket: Bucket,
    terms: Terms,
    /// Nothing is granted before.
    opens_at: Timestamp,
    /// Oldest first.
    grants: VecDeque<Outstanding>,
    /// Cells of `grants`. Invariant: at most `terms.held`.
    held: u64,
}

/// All that an authority knows beside quota and terms, in plain numbers: to be written down in
/// whatever format, and given to [`Authority::from_state`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityState {
    /// When the time of its bucket started.
    pub origin: Timestamp,
    /// The theoretical arrival time (TAT) of its bucket, in ticks of the quota after `origin`.
    pub tat: u128,
    /// Nothing is granted before.
    pub opens_at: Timestamp,
    /// What members may hold, oldest first.
    pub grants: Vec<Outstanding>,
}

/// A grant whose cells a member may still hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// Who may hold them.
    pub member: MemberId,
    /// The ask that was answered.
    pub id: u64,
    /// Cells granted.
    pub cells: u64,
    /// When they are held no more.
    pub expires_at: Timestamp,
}

impl Authority {
    /// An authority that starts at `now`, for the first time or again.
    pub fn new(quota: Quota, terms: Terms, now: Timestamp) -> Result<Self, TermsError> {
        let bucket = Bucket::with_debt(&terms.common(quota)?, now, u128::MAX);
        let opens_at = now + terms.ttl;
        Ok(Self { bucket, terms, opens_at, grants: VecDeque::new(), held: 0 })
    }

    /// The authority that [`state`](Self::state) was asked of, under the same quota and terms, on
    /// the same clock. Unlike a new one it grants at once.
    ///
    /// A state that is older than the last grant breaks the bound: it belongs to a log, all of
    /// whose later asks are handled again.
    pub fn from_state(
        quota: Quota,
        terms: Terms,
        state: AuthorityState,
    ) -> Result<Self, TermsError> {
        let AuthorityState { origin, tat, opens_at, grants } = state;
        let common = terms.common(quota)?;
        let bucket = Bucket::restored(&common, origin, tat).ok_or(TermsError::State)?;
        let held = grants.iter().try_fold(0_u64, |held, grant| held.checked_add(grant.cells));
        let held = held.filter(|&held| held <= terms.held).ok_or(TermsError::State)?;
        Ok(Self { bucket, terms, opens_at, grants: grants.into(), held })
    }

    /// All that it knows at present.
    pub fn state(&self) -> AuthorityState {
        let (origin, tat) = self.bucket.state();
        let grants = self.grants.iter().copied().collect();
        AuthorityState { origin, tat, opens_at: self.opens_at, grants }
    }

    /// Handles what `member` asked, at `now`. Sends nothing where it has nothing to grant: the
    /// member asks again.
    pub fn handle(&mut self, now: Timestamp, member: MemberId, ask: Ask) -> Option<Grant> {
        self.forget(now, member, ask.settled);
        if now < self.opens_at {
            return None;
        }
        let most = ask.want.min(self.terms.lease).min(self.terms.held - self.held);
        if most == 0 {
            return None;
        }
        let cells = self.bucket.take_between(now, 1, most).ok()?;
        self.held += cells;
        let expires_at = now + self.terms.ttl;
        self.grants.push_back(Outstanding { member, id: ask.id, cells, expires_at });
        Some(Grant { id: ask.id, cells })
    }

    /// Cells that members may hold at present, as far as the authority knows.
    pub const fn held(&self) -> u64 {
        self.held
    }

    fn forget(&mut self, now: Timestamp, member: MemberId, settled: u64) {
        let is_over =
            |it: &Outstanding| it.expires_at <= now || (it.member == member && it.id <= settled);
        self.grants.retain(|grant| !is_over(grant));
        self.held = self.grants.iter().map(|grant| grant.cells).sum();
        assert!(self.held <= self.terms.held, "more is held than was agreed");
    }
}

/// Spends what it was granted.
#[derive(Debug)]
pub struct Member {
    terms: Terms,
    /// How long it spends from a lease.
    ttl: Duration,
    next: u64,
    /// The ask that is not answered, and when it was made.
    pending: Option<(u64, Timestamp)>,
    /// Oldest first.
    leases: VecDeque<Lease>,
}

#[derive(Debug)]
struct Lease {
    id: u64,
    left: u64,
    expires_at: Timestamp,
}

impl Member {
    /// A member with nothing to spend.
    pub fn new(terms: Terms) -> Result<Self, TermsError> {
        let ttl = terms.spent_within()?;
        Ok(Self { terms, ttl, next: 1, pending: None, leases: VecDeque::new() })
    }

    /// Spends `cells` cells, all or none, at `now`.
    pub fn check(&mut self, now: Timestamp, cells: u64) -> bool {
        self.leases.retain(|lease| lease.left > 0 && now < lease.expires_at);
        if self.spendable() < cells {
            return false;
        }
        let mut missing = cells;
        for lease in &mut self.leases {
            let part = lease.left.min(missing);
            lease.left -= part;
            missing -= part;
        }
        true
    }

    /// What to send to the authority at `now`, if anything: a member asks when a fifth of a lease
    /// is left, and again when nothing came.
    pub fn poll(&mut self, now: Timestamp) -> Option<Ask> {
        self.leases.retain(|lease| lease.left > 0 && now < lease.expires_at);
        let left = self.spendable();
        let waits = self.pending.is_some_and(|(_, asked_at)| now < asked_at + self.terms.patience);
        if waits || left > self.terms.lease / 5 {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.pending = Some((id, now));
        let settled = self.leases.front().map_or(id, |oldest| oldest.id) - 1;
        Some(Ask { id, want: self.terms.lease - left, settled })
    }

    /// Takes a grant, unless it answers another ask than the last, or one twice.
    pub fn receive(&mut self, grant: Grant) {
        if let Some((_, asked_at)) = self.pending.take_if(|(id, _)| *id == grant.id) {
            let expires_at = asked_at + self.ttl;
            self.leases.push_back(Lease { id: grant.id, left: grant.cells, expires_at });
        }
    }

    fn spendable(&self) -> u64 {
        self.leases.iter().map(|lease| lease.left).sum()
    }
}

#[cfg(test)]
mod tests;
