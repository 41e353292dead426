//! Working out operands while tables are merged.
//!
//! Operands of one key wait here for what they change. If it comes, and no snapshot stands between
//! them, one value takes the place of all; so it does at the bottom, where nothing can come any
//! more. Otherwise they are written as they are:
//!
//! ```text
//!   9 "+1"   8 "+2"   5 value "40"                  ->   9 value "43"
//!   9 "+1"   8 "+2"   (next key)        bottom      ->   9 value "3"       else as they are
//!   9 "+1"   | snapshot |   5 value "40"            ->   as they are
//! ```

use std::borrow::Cow;

use crate::Result;
use crate::meaning::Meaning;
use crate::stamp::{Kind, Stamp};

/// The operands of one key that wait, the newest first.
#[derive(Debug)]
pub(crate) struct Fold<'a> {
    meaning: &'a Meaning,
    key: Vec<u8>,
    /// Between which snapshots they lie.
    stripe: usize,
    operands: Vec<(Stamp, Vec<u8>)>,
}

impl<'a> Fold<'a> {
    pub(crate) fn new(meaning: &'a Meaning) -> Self {
        Self { meaning, key: Vec::new(), stripe: 0, operands: Vec::new() }
    }

    /// Whether an entry may pass by: no operand waits for it, and it does not wait itself.
    #[inline]
    pub(crate) fn is_free_for(&self, stamp: Stamp) -> bool {
        self.operands.is_empty() && !stamp.is(Kind::Operand)
    }

    /// Whether operands of another key wait: then [`Fold::end`] must come before the next entry.
    #[inline]
    pub(crate) fn waits_for_other(&self, key: &[u8]) -> bool {
        !self.operands.is_empty() && self.key != key
    }

    /// Takes an entry of the key whose operands wait, or of any if none do, and emits what is done.
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        stamp: Stamp,
        stripe: usize,
        value: &[u8],
        emit: &mut impl FnMut(&[u8], Stamp, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if self.stripe != stripe {
            self.spill(emit)?;
        }
        match stamp.kind() {
            Kind::Operand if self.meaning.has_operator() => {
                self.key.clear();
                self.key.extend_from_slice(key);
                self.stripe = stripe;
                self.operands.push((stamp, value.to_vec()));
                Ok(())
            }
            Kind::Value if !self.operands.is_empty() => self.merge(Some(value), emit),
            Kind::Tombstone if !self.operands.is_empty() => self.merge(None, emit),
            // A dated value is over one day, and what operands make of it then is not known yet.
            _ => {
                self.spill(emit)?;
                emit(key, stamp, value)
            }
        }
    }

    /// No more of this key comes; at the bottom that means there is no more.
    pub(crate) fn end(
        &mut self,
        is_bottom: bool,
        emit: &mut impl FnMut(&[u8], Stamp, &[u8]) -> Result<()>,
    ) -> Result<()> {
        if is_bottom && !self.operands.is_empty() {
            self.merge(None, emit)
        } else {
            self.spill(emit)
        }
    }

    fn merge(
        &mut self,
        value: Option<&[u8]>,
        emit: &mut impl FnMut(&[u8], Stamp, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let operands: Vec<_> = self.operands.iter().map(|it| Cow::Borrowed(&*it.1)).collect();
        let merged = self.meaning.merged(&self.key, value, &operands)?;
        let newest = self.operands[0].0.as_kind(Kind::Value);
        self.operands.clear();
        emit(&self.key, newest, &merged)
    }

    fn spill(&mut self, emit: &mut impl FnMut(&[u8], Stamp, &[u8]) -> Result<()>) -> Result<()> {
        for (stamp, operand) in self.operands.drain(..) {
            emit(&self.key, stamp, &operand)?;
        }
        Ok(())
    }
}
