//! What an entry means: a value, a value for some time, or a step that changes one.
//!
//! ```text
//!   versions of "visits", the newest first            read as
//!     9  operand "+1"                                 merge("40", ["+2", "+1"])  =  "43"
//!     8  operand "+2"
//!     5  value   "40"          or, once its time has come, as if there were none
//! ```
//!
//! An operand is a change that does not know the value that it changes: a counter's step, an item
//! for a list. To write one costs what a put costs; nobody reads before. What it comes to is worked
//! out by a [`MergeOperator`] when the key is read, and for good when tables are merged.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_epoch::Guard;
use env::clock::WallClock;

use crate::stamp::{Kind, Stamp};
use crate::values::Values;
use crate::{Error, Options, Result};

/// What operands do to a value.
///
/// ```
/// use std::sync::Arc;
/// use lsm::{Db, MergeOperator, Options};
///
/// /// Texts are put behind one another.
/// #[derive(Debug)]
/// struct Concat;
///
/// impl MergeOperator for Concat {
///     fn merge(&self, _key: &[u8], value: Option<&[u8]>, operands: &[&[u8]]) -> Vec<u8> {
///         let mut all = value.unwrap_or_default().to_vec();
///         operands.iter().for_each(|it| all.extend_from_slice(it));
///         all
///     }
/// }
///
/// # let folder = tempfile::tempdir().expect("the temporary directory is writable");
/// let options = Options { merge_operator: Some(Arc::new(Concat)), ..Options::default() };
/// let db = Db::open(folder.path(), options)?;
/// db.merge(b"log", b"one ")?;
/// db.merge(b"log", b"two")?;
/// assert_eq!(db.get(b"log")?.as_deref(), Some(&b"one two"[..]));
/// # Ok::<(), lsm::Error>(())
/// ```
pub trait MergeOperator: fmt::Debug + Send + Sync {
    /// The value that comes of `operands`, the oldest first, on top of the value that the key had.
    ///
    /// Must give the same for the same, on every day and in every later version of the program:
    /// some of it may be worked out when tables are merged. Where it panics, a read panics too, and
    /// a merge of tables fails and is tried again.
    fn merge(&self, key: &[u8], value: Option<&[u8]>, operands: &[&[u8]]) -> Vec<u8>;
}

/// How entries are understood.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    operator: Option<Arc<dyn MergeOperator>>,
    clock: Arc<dyn WallClock>,
    pub(crate) values: Arc<Values>,
}

/// Length of the date before a value that is for some time.
const DATE: usize = 8;

impl Meaning {
    pub(crate) fn new(options: &Options, values: Arc<Values>) -> Self {
        let (operator, clock) = (options.merge_operator.clone(), Arc::clone(&options.clock));
        Self { operator, clock, values }
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.unix_time()
    }

    /// The value of an entry that is no operand, if it has one.
    #[inline]
    pub(crate) fn value<'b>(
        &self,
        stamp: Stamp,
        bytes: &'b [u8],
        now: impl FnOnce() -> Duration,
        guard: &'b Guard,
    ) -> Result<Option<Cow<'b, [u8]>>> {
        match stamp.kind() {
            Kind::Value => Ok(Some(Cow::Borrowed(bytes))),
            Kind::Pointer => self.values.get(bytes, guard).map(Some),
            _ => Ok(dated_value(stamp, bytes, now()).map(Cow::Borrowed)),
        }
    }

    /// The value that operands, the newest first, make of another.
    pub(crate) fn merged(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        operands: &[Cow<'_, [u8]>],
    ) -> Result<Vec<u8>> {
        let operator = self.operator.as_ref().ok_or(Error::NoMergeOperator)?;
        let operands: Vec<&[u8]> = operands.iter().rev().map(|it| &**it).collect();
        Ok(operator.merge(key, value, &operands))
    }

    pub(crate) fn has_operator(&self) -> bool {
        self.operator.is_some()
    }
}

/// The bytes of an entry whose value is for some time: until this date, since 1970.
pub(crate) fn dated(until: Duration, value: &[u8]) -> Vec<u8> {
    let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
    [&millis.to_le_bytes(), value].concat()
}

/// The value of a dated entry, if it still has one.
#[cold]
pub(crate) fn dated_value(stamp: Stamp, bytes: &[u8], now: Duration) -> Option<&[u8]> {
    if !stamp.is(Kind::Dated) {
        return None;
    }
    // Without a whole date nobody can have written it.
    let (date, value) = bytes.split_first_chunk::<DATE>()?;
    (now.as_millis() < u128::from(u64::from_le_bytes(*date))).then_some(value)
}
