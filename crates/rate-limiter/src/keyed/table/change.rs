//! A table whose quota changes while requests go on.
//!
//! A slot holds ticks, and another quota has other ticks. A change publishes the new setting at
//! once and then walks over the table to carry every bucket over; a request that meets a bucket
//! before the walk does carries it over itself:
//!
//! ```text
//!   lock all insertions -> setting, how to carry over -> unlock -> walk: exchange every slot used
//!   request:  slot of an older setting?  what it missed at the change, in new ticks, is its TAT
//! ```
//!
//! # Why no bucket is lost or carried over twice
//!
//! A TAT says of which setting it is: in `exact` the ticks of a setting begin above all earlier
//! ones, in `compact` a bit of the slot alternates. A bucket is carried over by one exchange of
//! what was seen in the slot, whoever does it. A request that read the old setting either exchanges
//! its slot before that, and what it took is carried over, or fails and looks again. The walk
//! exchanges full buckets too, so that after it no request of the old setting succeeds anywhere,
//! and there are never more than two settings at once. An insertion holds a lock while it reads the
//! setting and takes a slot, so that none of the old setting comes behind the walk.
//!
//! All roundings are against the client. See `live` for what [`Carry`] does; one thing differs: a
//! full bucket stays full also where cells are carried over, since a key with a full bucket may as
//! well have none. A key that only the sketch of strangers knows owes one cell before and after.
//!
//! # What this module does not do
//!
//! It halts nobody: only [`set_quota`](super::super::KeyedLimiter::set_quota) itself waits for the
//! walk.

use super::super::line::Line;
use super::{Setting, Table, TableError};
use crate::gcra::Word;
use crate::live::{Carry, carried};
use crate::quota::{Quota, Scale};
use crate::ratio::mul_div_ceil;
use crate::sync::Ordering;

/// What becomes of a bucket of the setting before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrying<W> {
    /// The version of the new setting.
    version: u64,
    from: Setting<W>,
    /// When it ended, in its ticks.
    end: W,
    /// Old and new.
    quotas: [Quota; 2],
    carry: Carry,
}

impl<W: Word> Carrying<W> {
    /// What a bucket misses at the change in ticks of `to` that missed `missing` in those of the
    /// setting before.
    fn turned(&self, missing: W, to: &Scale<W>) -> W {
        let [old, new] = &self.quotas;
        let [wide_old, wide_new] = self.quotas.each_ref().map(Scale::wide);
        let ticks = mul_div_ceil(
            missing.into(),
            wide_old.ticks_per_cell,
            self.from.scale.ticks_per_cell.into(),
        );
        let ticks = carried(self.carry, old, new, ticks);
        let ticks = mul_div_ceil(ticks, to.ticks_per_cell.into(), wide_new.ticks_per_cell);
        W::try_from(ticks).unwrap_or(to.tolerance).min(to.tolerance)
    }

    /// The TAT of a bucket under `to`.
    fn tat<L: Line<Word = W>>(&self, seen: L::Seen, to: &Setting<W>) -> W {
        let missing = L::missing(&self.from, seen, self.end).filter(|&it| it > W::ZERO);
        missing.map_or(to.base, |missing| to.base + self.turned(missing, &to.scale))
    }
}

impl<L: Line> Table<L> {
    /// Keeps the quota `new` instead of `old` from `now_ns` on. Changes come one at a time.
    /// Where it fails, nothing has changed.
    pub(in super::super) fn change(
        &self,
        now_ns: u64,
        old: &Quota,
        new: &Quota,
        carry: Carry,
    ) -> Result<(), TableError> {
        let guards = self.lines.lock_all();
        let (from, ()) = self.live.read(|| ());
        let end = self.now(&from, now_ns);
        let base = L::base_after(&from, end).ok_or(TableError::TooFine)?;
        let scale = L::scale(new, base)?;
        let version = from.version + 2;
        let to = Setting { scale, start_ns: now_ns, base, version };
        let carrying = Carrying { version, from, end, quotas: [*old, *new], carry };
        *self.carrying.lock().expect("no holder of this lock panics") = Some(carrying);
        let wide = Scale::wide(new);
        self.live.change(|_| {
            // Release: as the words of the setting.
            self.fill_ns.store(wide.nanos_at(wide.tolerance), Ordering::Release);
            Some(to)
        });
        self.lines.change_strangers(new, now_ns, carry);
        drop(guards);
        self.carry_over(&carrying, &to);
        *self.carrying.lock().expect("no holder of this lock panics") = None;
        Ok(())
    }

    /// Walks over all slots that were ever used.
    fn carry_over(&self, carrying: &Carrying<L::Word>, to: &Setting<L::Word>) {
        for line in self.lines.iter() {
            for slot in 0..L::SLOTS {
                loop {
                    let held = line.held(slot);
                    let Some(tag) = held.owner else { break };
                    if L::missing(to, held.seen, to.base).is_some() {
                        break;
                    }
                    let tat = carrying.tat::<L>(held.seen, to);
                    if line.exchange(slot, held.seen, to, tag, tat) {
                        break;
                    }
                }
            }
        }
    }

    /// What a bucket of an older setting misses at `now`; `None` where the walk has come by, and
    /// the slot holds something else by now.
    ///
    /// The setting comes by value, as in `denied`.
    #[cold]
    pub(super) fn carried(
        &self,
        setting: Setting<L::Word>,
        seen: L::Seen,
        now: L::Word,
    ) -> Option<L::Word> {
        let carrying = *self.carrying.lock().expect("no holder of this lock panics");
        let carrying = carrying.filter(|it| it.version == setting.version)?;
        Some(carrying.tat::<L>(seen, &setting).max(now) - now)
    }
}

#[cfg(test)]
mod tests;
