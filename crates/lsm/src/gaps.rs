//! Gaps: ranges of keys in which nothing is left, remembered so that walks jump them.
//!
//! A queue is filled at its end and emptied from its beginning. Whoever looks for its first key
//! walks over all that was taken before, as long as tombstones lie in memory or in tables: ever
//! longer. So a walk over many keys that are gone tells of them, and later ones jump:
//!
//! ```text
//!   keys       x x x x x x x x x x x x x x x o o o o     x gone, o there
//!              [---- known ----)                         a reader jumps it,
//!              [-------- walked ---------)               walks on, and posts both together
//!   put at y   [- known -) y [--- known -)               a put leaves what is around it
//! ```
//!
//! **What is known is changed by writers alone**, under their lock, so that no put can slip past: a
//! put cuts its key out of what is known before its number becomes visible. Who reads as of a
//! number loads the number first, so that it finds each gap without all keys that it can see. And
//! it jumps only what was empty at its moment already: a gap says since when it holds.
//!
//! What was walked as of a moment is posted, and whoever next has the lock makes it known, if
//! nothing was written since that moment. If something was, it may have been put there. Then the
//! range is *watched* from now on, puts are cut out of it, and what another walk of a later moment
//! finds empty in it is known. Freezes, flushes and merges change nothing: they keep what readers
//! see.
//!
//! # What this module does not do
//!
//! It forgets with the process, and keeps few gaps. It does not shorten walks of snapshots that are
//! older than a gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_epoch::{self as epoch, Guard};
use parking_lot::Mutex;

use crate::planted::planted;
use crate::slot::Slot;
use crate::stamp::Sequence;
use crate::sync::point;

/// A walk over so many keys that are gone is worth remembering. Fewer in tests, where keys are few.
pub(crate) const WORTH: usize = if cfg!(test) { 2 } else { 16 };
/// A walk looks whether it is in a gap each time that it passed so many keys.
pub(crate) const LOOK: usize = WORTH / 2;
/// So many gaps are kept: each put looks among them.
const GAPS_MAX: usize = 16;

/// A moment as a reader sees it: the number that it goes by, and the time by which dated values are
/// over or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) sequence: Sequence,
    pub(crate) now: Duration,
}

/// Keys from `start` on and below `end`, of which none is there from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
    pub(crate) since: Moment,
    /// How many keys a walk passes without it, about. Each put into it takes half, so that what
    /// puts pay for a gap is less than what was once paid for the walk.
    pub(crate) worth: usize,
}

impl Gap {
    fn holds_at(&self, moment: Moment) -> bool {
        let is_since = self.since.sequence <= moment.sequence || planted!(GapForAll);
        is_since && self.since.now <= moment.now
    }

    /// The part of it within a range; none where it is empty.
    fn within(self, start: &[u8], end: &[u8]) -> Option<Self> {
        let start = if *self.start < *start { start.to_vec() } else { self.start };
        let end = if *end < *self.end { end.to_vec() } else { self.end };
        (start < end).then_some(Self { start, end, ..self })
    }
}

/// The gaps of a family; see the module's header.
#[derive(Debug)]
pub(crate) struct Gaps {
    /// Ascending, and none touches another. Replaced by who holds the writers' lock.
    known: Slot<Vec<Arc<Gap>>>,
    /// Whether puts have to look: there is something known or watched.
    is_guarding: AtomicBool,
    has_post: AtomicBool,
    desk: Mutex<Desk>,
}

/// What is not known yet.
#[derive(Debug, Default)]
struct Desk {
    /// What the last long walk passed.
    posted: Option<Gap>,
    watched: Option<Watched>,
}

/// A range out of which all puts are cut whose numbers are above `from`.
#[derive(Debug)]
struct Watched {
    from: Sequence,
    start: Vec<u8>,
    end: Vec<u8>,
}

impl Default for Gaps {
    fn default() -> Self {
        let (is_guarding, has_post) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { known: Slot::new(None), is_guarding, has_post, desk: Mutex::default() }
    }
}

/// For readers.
impl Gaps {
    /// Whether nothing is known, so that it is not worth to pin the epoch.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The gap in which a key lies.
    pub(crate) fn around<'g>(
        &self,
        key: &[u8],
        moment: Moment,
        guard: &'g Guard,
    ) -> Option<&'g Gap> {
        let gap = self.last(|start| start <= key, guard)?;
        (*key < *gap.end && gap.holds_at(moment)).then_some(gap)
    }

    /// The gap in which those keys lie that are the next below a key.
    pub(crate) fn below<'g>(
        &self,
        key: &[u8],
        moment: Moment,
        guard: &'g Guard,
    ) -> Option<&'g Gap> {
        let gap = self.last(|start| start < key, guard)?;
        (*key <= *gap.end && gap.holds_at(moment)).then_some(gap)
    }

    /// The last of the gaps that begin early enough.
    fn last<'g>(&self, is_early: impl Fn(&[u8]) -> bool, guard: &'g Guard) -> Option<&'g Gap> {
        point();
        let known = self.known.load(guard)?;
        let early = known.partition_point(|it| is_early(&it.start));
        known[..early].last().map(|it| &**it)
    }

    /// Tells of keys that a walk passed. The last one who tells is heard.
    pub(crate) fn post(&self, walked: Gap) {
        point();
        let mut desk = self.desk.lock();
        desk.posted = Some(walked);
        // Relaxed: the lock orders what is posted, and who sees this later comes later.
        self.has_post.store(true, Ordering::Relaxed);
    }
}

/// For those who hold the writers' lock.
impl Gaps {
    #[inline]
    pub(crate) fn has_post(&self) -> bool {
        // Relaxed: as in `post`.
        self.has_post.load(Ordering::Relaxed)
    }

    /// Makes known what was posted, or watches it. `last` is the number of the last write.
    #[cold]
    pub(crate) fn settle(&self, last: Sequence) {
        let guard = epoch::pin();
        let mut desk = self.desk.lock();
        // Relaxed, both: as in `post`; the other is for those who hold the writers' lock.
        self.has_post.store(false, Ordering::Relaxed);
        let Some(walked) = desk.posted.take() else { return };
        let watched = desk.watched.take();
        let proven = if walked.since.sequence == last || planted!(GapUnwatched) {
            Some(walked)
        } else {
            let Gap { start, end, .. } = walked.clone();
            desk.watched = Some(Watched { from: last, start, end });
            let watched = watched.filter(|it| it.from <= walked.since.sequence);
            watched.and_then(|it| walked.within(&it.start, &it.end))
        };
        if let Some(gap) = proven {
            let known = self.known.load(&guard).map_or(&[][..], |it| it);
            self.known.replace(Some(Arc::new(with(known, gap))), &guard);
        }
        self.guard_if_needed(&desk);
    }

    /// A key will be there from the next number on that becomes visible.
    #[inline]
    pub(crate) fn cut(&self, key: &[u8], guard: &Guard) {
        // Relaxed: the writers' lock orders it.
        if self.is_guarding.load(Ordering::Relaxed) && !planted!(GapNotCut) {
            self.cut_out(key, guard);
        }
    }

    fn cut_out(&self, key: &[u8], guard: &Guard) {
        let mut desk = self.desk.lock();
        if let Some(it) = &mut desk.watched
            && *it.start <= *key
            && *key < *it.end
        {
            if *it.start < *key {
                it.end = key.to_vec();
            } else {
                it.start = behind(key);
            }
        }
        let known = self.known.load(guard).map_or(&[][..], |it| it);
        let Some(at) = known.partition_point(|it| *it.start <= *key).checked_sub(1) else { return };
        let gap = &known[at];
        if *key < *gap.end {
            let half = Gap { worth: gap.worth / 2, ..(**gap).clone() };
            let below = half.clone().within(&gap.start, key);
            let above = half.within(&behind(key), &gap.end);
            let parts = [below, above].into_iter().flatten().filter(|it| it.worth >= WORTH);
            let mut left = known[..at].to_vec();
            left.extend(parts.map(Arc::new));
            left.extend_from_slice(&known[at + 1..]);
            forget_oldest(&mut left);
            let left = (!left.is_empty()).then(|| Arc::new(left));
            self.known.replace(left, guard);
            self.guard_if_needed(&desk);
        }
    }

    /// Forgets all: keys come that are not put one by one.
    pub(crate) fn clear(&self) {
        let mut desk = self.desk.lock();
        *desk = Desk::default();
        self.known.replace(None, &epoch::pin());
        self.guard_if_needed(&desk);
    }

    fn guard_if_needed(&self, desk: &Desk) {
        let is_guarding = desk.watched.is_some() || !self.known.is_empty();
        // Relaxed: as in `cut`.
        self.is_guarding.store(is_guarding, Ordering::Relaxed);
    }
}

/// The smallest key above a key.
pub(crate) fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Gaps with one more, which takes in those that it touches.
fn with(known: &[Arc<Gap>], mut gap: Gap) -> Vec<Arc<Gap>> {
    let from = known.partition_point(|it| it.end < gap.start);
    let to = known.partition_point(|it| it.start <= gap.end);
    for it in &known[from..to] {
        gap.start = gap.start.min(it.start.clone());
        gap.end = gap.end.max(it.end.clone());
        gap.since.sequence = gap.since.sequence.max(it.since.sequence);
        gap.since.now = gap.since.now.max(it.since.now);
        gap.worth = gap.worth.saturating_add(it.worth);
    }
    let mut all = known[..from].to_vec();
    all.push(Arc::new(gap));
    all.extend_from_slice(&known[to..]);
    forget_oldest(&mut all);
    all
}

/// Where there are too many, those go that nobody has added to for longest.
fn forget_oldest(gaps: &mut Vec<Arc<Gap>>) {
    while gaps.len() > GAPS_MAX {
        let oldest = (0..gaps.len()).min_by_key(|at| gaps[*at].since.sequence);
        gaps.remove(oldest.expect("there are some"));
    }
}

#[cfg(test)]
mod tests;
