//! Walking through a family in the order of its keys, both ways, as of one moment.
//!
//! Forward, the merge of all sources gives each key's newest version first; what is newer than the
//! moment, or an older version of a key that was passed, or a tombstone, is skipped. Backward, the
//! versions of a key come the oldest first and from each source apart, so a key is complete only
//! when every source has passed it; its entry is copied.
//!
//! Both ways, a walk that passes many keys that are gone tells of them, and jumps what others have
//! told of: [`crate::gaps`].

mod passed;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_epoch as epoch;

use self::passed::Passed;
use crate::db::State;
use crate::meaning::Meaning;
use crate::merge::{Merge, Source, To};
use crate::planted::planted;
use crate::range::Range;
use crate::removal::Watch;
use crate::stamp::{Kind, Sequence, Stamp};
use crate::{Error, Result};

/// A place in a family, as it was when the iterator was made.
///
/// As an [`Iterator`] it gives copies of the entries, from the first one on or from where it was
/// led. As a cursor it lends them: [`Iter::entry`]. What it can still reach stays on the disk and
/// in memory until it is dropped.
///
/// ```
/// # let folder = tempfile::tempdir().expect("the temporary directory is writable");
/// let db = lsm::Db::open(folder.path(), lsm::Options::default())?;
/// for fruit in ["apple", "cherry", "pear"] {
///     db.put(fruit.as_bytes(), b"")?;
/// }
/// let mut iter = db.iter();
/// iter.seek(b"banana")?;
/// assert_eq!(iter.entry(), Some((&b"cherry"[..], &b""[..])));
/// iter.backward()?;
/// assert_eq!(iter.entry().map(|it| it.0), Some(&b"apple"[..]));
/// # Ok::<(), lsm::Error>(())
/// ```
#[derive(Debug)]
pub struct Iter {
    merge: Merge,
    /// Where operands find what they change.
    state: Arc<State>,
    meaning: Arc<Meaning>,
    /// When it was made: by then dated values are there or not.
    now: Duration,
    removals: Watch,
    sequence: Sequence,
    /// Keys from here on are shown. The sources need not have others.
    lower: Vec<u8>,
    /// Keys below are shown; all where there is none.
    upper: Option<Vec<u8>>,
    mode: Mode,
    /// The key here, or the one that was passed last.
    key: Vec<u8>,
    /// The value here, unless it is the merge's.
    value: Vec<u8>,
    passed: Passed,
    /// Whether the moment is one of another store: then it leads nowhere.
    is_foreign: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It was not led anywhere yet.
    Fresh,
    /// The merge stands at the entry.
    Forward,
    /// The merge stands at the entry, and the value was worked out, or lay elsewhere.
    Merged,
    /// All sources stand before the entry.
    Backward,
    /// There is no entry.
    Ended,
}

impl Iter {
    pub(crate) fn new(
        sources: Vec<Source>,
        range: Range,
        state: Arc<State>,
        removals: Watch,
        sequence: Sequence,
        meaning: Arc<Meaning>,
    ) -> Self {
        Self {
            merge: Merge::new(sources),
            state,
            now: meaning.now(),
            meaning,
            removals,
            sequence,
            lower: range.lower,
            upper: range.upper,
            mode: Mode::Fresh,
            key: Vec::new(),
            value: Vec::new(),
            passed: Passed::default(),
            is_foreign: false,
        }
    }

    /// One that refuses to be led anywhere, for a family that is not of the moment's store.
    pub(crate) fn refused(self) -> Self {
        Self { is_foreign: true, ..self }
    }

    fn require_own(&self) -> Result<()> {
        if self.is_foreign { Err(Error::Foreign) } else { Ok(()) }
    }

    /// The key and the value here, unless the iterator is at an end.
    #[inline]
    pub fn entry(&self) -> Option<(&[u8], &[u8])> {
        match self.mode {
            Mode::Forward => Some((&self.key, self.merge.entry().1)),
            Mode::Merged | Mode::Backward => Some((&self.key, &self.value)),
            Mode::Fresh | Mode::Ended => None,
        }
    }

    /// To the first entry.
    pub fn seek_first(&mut self) -> Result<()> {
        self.seek(&[])
    }

    /// To the last entry.
    pub fn seek_last(&mut self) -> Result<()> {
        match self.upper.take() {
            None => self.go_backward(To::Last),
            Some(upper) => {
                let outcome = self.go_backward(To::Below(&upper));
                self.upper = Some(upper);
                outcome
            }
        }
    }

    /// To the first entry whose key is not below `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        if *key < *self.lower {
            let lower = std::mem::take(&mut self.lower);
            let outcome = self.go_forward(&lower);
            self.lower = lower;
            return outcome;
        }
        self.go_forward(key)
    }

    /// To the last entry whose key is below `key`.
    pub fn seek_below(&mut self, key: &[u8]) -> Result<()> {
        if self.upper.as_ref().is_some_and(|upper| **upper < *key) {
            return self.seek_last();
        }
        self.go_backward(To::Below(key))
    }

    /// To the next entry. Nothing happens at an end.
    #[inline]
    pub fn forward(&mut self) -> Result<()> {
        match self.mode {
            Mode::Fresh => self.seek_first(),
            Mode::Ended => Ok(()),
            Mode::Forward | Mode::Merged => {
                self.merge.next()?;
                self.settle_forward(true, None)
            }
            Mode::Backward => {
                let key = std::mem::take(&mut self.key);
                let outcome = self.merge.go(To::AtLeast(&key));
                self.key = key;
                outcome?;
                self.settle_forward(true, None)
            }
        }
    }

    /// To the entry before. Nothing happens at an end.
    pub fn backward(&mut self) -> Result<()> {
        match self.mode {
            Mode::Fresh => self.seek_last(),
            Mode::Ended => Ok(()),
            Mode::Backward => self.settle_backward(None),
            Mode::Forward | Mode::Merged => {
                let key = std::mem::take(&mut self.key);
                let outcome = self.go_backward(To::Below(&key));
                if self.mode == Mode::Ended {
                    self.key = key;
                }
                outcome
            }
        }
    }

    fn go_forward(&mut self, key: &[u8]) -> Result<()> {
        self.mode = Mode::Ended;
        self.require_own()?;
        self.passed.clear();
        match self.end_of_gap(key) {
            None => self.merge.go(To::AtLeast(key))?,
            Some(end) => self.merge.go(To::AtLeast(&end))?,
        }
        self.settle_forward(false, Some(key))
    }

    fn go_backward(&mut self, to: To<'_>) -> Result<()> {
        self.mode = Mode::Ended;
        self.require_own()?;
        self.passed.clear();
        let To::Below(key) = to else {
            self.merge.go(to)?;
            return self.settle_backward(None);
        };
        match self.start_of_gap(key) {
            None => self.merge.go(To::Below(key))?,
            Some(start) => self.merge.go(To::Below(&start))?,
        }
        self.settle_backward(Some(key))
    }

    /// Skips what is not shown. With `has_passed`, `key` was shown. There is nothing between
    /// `from`, where it is given, and the first key here.
    #[inline]
    fn settle_forward(&mut self, has_passed: bool, from: Option<&[u8]>) -> Result<()> {
        if self.is_next_gone(has_passed)? { self.pass_on(from) } else { Ok(()) }
    }

    /// Goes to the next key of the iterator's moment, unless the merge stands at it: behind `key`
    /// with `has_passed`. Shows it or returns that it is gone; at the end there is neither.
    #[inline]
    fn is_next_gone(&mut self, has_passed: bool) -> Result<bool> {
        self.mode = Mode::Ended;
        while let Some(key) = self.merge.key() {
            if self.upper.as_ref().is_some_and(|upper| **upper <= *key) {
                break;
            }
            let (stamp, _) = self.merge.entry();
            let is_shadowed = has_passed && *self.key == *key;
            if stamp.sequence() <= self.sequence && !is_shadowed {
                self.key.clear();
                self.key.extend_from_slice(key);
                if !self.is_removed(stamp) {
                    self.mode = self.shown(stamp)?;
                }
                return Ok(self.mode == Mode::Ended);
            }
            self.merge.next()?;
        }
        Ok(false)
    }

    /// From a key that is gone to the next entry.
    #[cold]
    fn pass_on(&mut self, from: Option<&[u8]>) -> Result<()> {
        loop {
            if !self.pass_forward(from)? {
                self.merge.next()?;
            }
            if !self.is_next_gone(true)? {
                break;
            }
        }
        self.tell_forward();
        Ok(())
    }

    /// How the entry of this stamp at which the merge stands is shown; `Ended` where it is not.
    #[inline]
    fn shown(&mut self, stamp: Stamp) -> Result<Mode> {
        if stamp.is(Kind::Value) {
            return Ok(Mode::Forward);
        }
        if stamp.is(Kind::Operand) {
            self.value = self.merged(stamp)?;
            return Ok(Mode::Merged);
        }
        let guard = epoch::pin();
        let value = self.meaning.value(stamp, self.merge.entry().1, || self.now, &guard)?;
        let Some(value) = value.map(Cow::into_owned) else { return Ok(Mode::Ended) };
        self.value = value;
        Ok(Mode::Merged)
    }

    #[cold]
    fn merged(&self, stamp: Stamp) -> Result<Vec<u8>> {
        self.state.merged_at(&self.key, stamp, self.sequence, &self.meaning)
    }

    /// Whether a removed range hides the newest version of the key here.
    #[inline]
    fn is_removed(&mut self, stamp: Stamp) -> bool {
        !self.removals.is_empty() && self.removals.newest(&self.key) > stamp.sequence()
    }

    /// All sources stand at their last entry below some key, or before all. There is nothing
    /// between them and `from`, where it is given.
    fn settle_backward(&mut self, from: Option<&[u8]>) -> Result<()> {
        self.mode = Mode::Ended;
        while let Some(key) = self.merge.sources().iter().filter_map(Source::key).max() {
            if *key < *self.lower {
                break;
            }
            let key = key.to_vec();
            let mut newest: Option<Stamp> = None;
            for source in self.merge.sources() {
                while source.key() == Some(&key) {
                    let (stamp, value) = source.entry();
                    if stamp.sequence() <= self.sequence
                        && (newest.is_none_or(|it| it < stamp) || planted!(OldestVersionBackward))
                    {
                        newest = Some(stamp);
                        self.value.clear();
                        self.value.extend_from_slice(value);
                    }
                    source.prev()?;
                }
            }
            self.key = key;
            let newest = newest.filter(|it| !self.is_removed(*it));
            if newest.map_or(Ok(false), |it| self.has_value_backward(it))? {
                self.mode = Mode::Backward;
                break;
            }
            self.pass_backward(from)?;
        }
        self.tell_backward();
        Ok(())
    }

    /// Whether the newest version of the key has a value, which then is in its place.
    fn has_value_backward(&mut self, newest: Stamp) -> Result<bool> {
        if newest.is(Kind::Operand) {
            self.value = self.merged(newest)?;
        } else if !newest.is(Kind::Value) {
            let bytes = std::mem::take(&mut self.value);
            let guard = epoch::pin();
            let value = self.meaning.value(newest, &bytes, || self.now, &guard)?;
            let Some(value) = value.map(Cow::into_owned) else { return Ok(false) };
            self.value = value;
        }
        Ok(true)
    }
}

impl Iterator for Iter {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.mode == Mode::Fresh
            && let Err(cause) = self.seek_first()
        {
            return Some(Err(cause));
        }
        let (key, value) = self.entry()?;
        let entry = (key.to_vec(), value.to_vec());
        match self.forward() {
            Ok(()) => Some(Ok(entry)),
            Err(cause) => {
                self.mode = Mode::Ended;
                Some(Err(cause))
            }
        }
    }
}
