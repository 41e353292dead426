//! Keys that are gone, on the way of an iterator: it tells of many, and jumps what others told.
//!
//! From key to key nothing is asked. What is known is looked at where a walk begins from outside,
//! and each time that some keys in a row were gone.

use crossbeam_epoch as epoch;

use super::{Iter, Mode};
use crate::Result;
use crate::gaps::{Gap, LOOK, Moment, WORTH, behind};
use crate::merge::To;

/// The keys that were passed on the way to the next entry because they are gone.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Where they begin, as the walk goes: below it, backward, or from it on.
    from: Vec<u8>,
    keys: usize,
    /// Jumps count as some keys, so that gaps which nearly touch become one.
    toll: usize,
}

impl Iter {
    fn moment(&self) -> Moment {
        Moment { sequence: self.sequence, now: self.now }
    }

    /// Where the gap around a key ends.
    #[inline]
    pub(super) fn end_of_gap(&self, key: &[u8]) -> Option<Vec<u8>> {
        // Mostly there is none.
        if self.state.gaps.is_empty() { None } else { self.around(key) }
    }

    #[cold]
    fn around(&self, key: &[u8]) -> Option<Vec<u8>> {
        let guard = epoch::pin();
        self.state.gaps.around(key, self.moment(), &guard).map(|it| it.end.clone())
    }

    /// Where the gap right below a key begins.
    pub(super) fn start_of_gap(&self, key: &[u8]) -> Option<Vec<u8>> {
        if self.state.gaps.is_empty() {
            return None;
        }
        let guard = epoch::pin();
        self.state.gaps.below(key, self.moment(), &guard).map(|it| it.start.clone())
    }

    /// The key is gone. Returns whether the merge has jumped what comes behind it.
    pub(super) fn pass_forward(&mut self, from: Option<&[u8]>) -> Result<bool> {
        if self.passed.is_first() {
            self.passed.from.extend_from_slice(from.unwrap_or(&self.key));
        }
        if self.passed.has_to_look()
            && let Some(end) = self.end_of_gap(&self.key)
        {
            self.passed.toll += LOOK;
            self.merge.go(To::AtLeast(&end))?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The same backward.
    pub(super) fn pass_backward(&mut self, from: Option<&[u8]>) -> Result<()> {
        if self.passed.is_first() {
            match from {
                Some(from) => self.passed.from.extend_from_slice(from),
                None => self.passed.from = behind(&self.key),
            }
        }
        if self.passed.has_to_look()
            && let Some(start) = self.start_of_gap(&self.key)
        {
            self.passed.toll += LOOK;
            self.merge.go(To::Below(&start))?;
        }
        Ok(())
    }

    /// The walk has reached an entry, or the end: others are told if it was long.
    pub(super) fn tell_forward(&mut self) {
        if self.passed.is_worth_telling() {
            let is_there = self.mode != Mode::Ended;
            let end = if is_there { self.key.clone() } else { behind(&self.key) };
            self.tell(self.passed.from.clone(), end);
        }
        self.passed.clear();
    }

    pub(super) fn tell_backward(&mut self) {
        if self.passed.is_worth_telling() {
            let is_there = self.mode != Mode::Ended;
            let start = if is_there { behind(&self.key) } else { self.key.clone() };
            self.tell(start, self.passed.from.clone());
        }
        self.passed.clear();
    }

    fn tell(&self, start: Vec<u8>, end: Vec<u8>) {
        let worth = self.passed.keys;
        self.state.gaps.post(Gap { start, end, since: self.moment(), worth });
    }
}

impl Passed {
    /// For another walk; the last one may have ended by an error.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.from.clear();
        (self.keys, self.toll) = (0, 0);
    }

    fn is_worth_telling(&self) -> bool {
        self.keys > 0 && self.keys + self.toll >= WORTH
    }

    /// One more key. Returns whether it is the first.
    fn is_first(&mut self) -> bool {
        self.keys += 1;
        self.keys == 1
    }

    fn has_to_look(&self) -> bool {
        self.keys.is_multiple_of(LOOK)
    }
}
