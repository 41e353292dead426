//! The bytes of one file: what everybody reads, what a power cut leaves, and what lies between.
//!
//! ```text
//!   durable   |aaaaaaaa|aaaaaaaa|aaaa|                 as of the last sync
//!   pending      1: write bbbb........bbbb
//!                2: write          cccccccc            in order, not synced
//!   live      |aaabbbbb|bbbbbbcc|cccccc|               what a read returns
//!
//!   crash     nothing     everything     prefix          scattered
//!             (durable)   (live)         1, half of 2    each sector for itself: some version
//! ```
//!
//! *Scattered* is what a page cache does: each sector reaches the disk on its own, in any order, in
//! any of the versions that it had; a later write may survive an earlier one, and the length may
//! survive the bytes, which then read as zeros.

use std::collections::BTreeMap;
use std::ops::Range;

use env::random::{Random, SeededRandom};

use crate::sim::coverage::Fault;

/// What a disk writes as a whole, most of the time.
pub(super) const SECTOR: usize = 512;
/// What a mapping flushes as a whole.
const PAGE: usize = 4_096;

/// The bytes of one file.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) live: Vec<u8>,
    durable: Vec<u8>,
    /// What leads from `durable` to `live`, except for what a failed sync lost.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    /// Never empty.
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    SetLen(usize),
}

impl Content {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            put(&mut self.live, offset, bytes);
            self.pending.push(Change::Write { offset, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len != self.live.len() {
            self.live.resize(len, 0);
            self.pending.push(Change::SetLen(len));
        }
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// Makes the pages of `range` durable, and the length.
    pub(super) fn sync_range(&mut self, range: Range<usize>) {
        if self.is_cut() {
            // What was cut and what was written no longer commute; a real disk would need the
            // journal here and flush all.
            return self.sync();
        }
        let end = range.end.next_multiple_of(PAGE).min(self.live.len());
        let pages = (range.start - range.start % PAGE).min(end)..end;
        self.durable.resize(self.live.len().max(self.durable.len()), 0);
        self.durable[pages.clone()].copy_from_slice(&self.live[pages.clone()]);
        let pending = std::mem::take(&mut self.pending);
        for change in pending {
            if let Change::Write { offset, bytes } = change {
                self.keep_outside(offset, &bytes, &pages);
            }
        }
    }

    /// Keeps as pending what a write has outside of `flushed`.
    fn keep_outside(&mut self, offset: usize, bytes: &[u8], flushed: &Range<usize>) {
        let end = offset + bytes.len();
        let before = offset..end.min(flushed.start);
        let after = offset.max(flushed.end)..end;
        for part in [before, after].into_iter().filter(|part| !part.is_empty()) {
            let bytes = bytes[part.start - offset..part.end - offset].to_vec();
            self.pending.push(Change::Write { offset: part.start, bytes });
        }
    }

    /// Whether a pending change makes the file shorter.
    fn is_cut(&self) -> bool {
        let mut len = self.durable.len();
        self.pending.iter().any(|change| match change {
            Change::Write { offset, bytes } => {
                len = len.max(offset + bytes.len());
                false
            }
            Change::SetLen(new) => std::mem::replace(&mut len, *new) > *new,
        })
    }

    /// A sync failed: the pages count as clean from now on and are never written.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Flips one bit of the byte at `offset`, in the cache and on the disk.
    pub(super) fn flip(&mut self, offset: usize, bit: u32) {
        for bytes in [&mut self.live, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 1 << bit;
            }
        }
    }

    /// The power is gone; `report` hears what happened to unsynced writes.
    pub(super) fn crash(&mut self, random: &mut SeededRandom, report: &mut impl FnMut(Fault)) {
        if !self.pending.is_empty() {
            let writes = |change: &Change| matches!(change, Change::Write { .. });
            let fate = random.below(4);
            let any = self.pending.iter().any(writes);
            match fate {
                0 if any => report(Fault::WriteLost),
                1 if any => report(Fault::WriteKept),
                _ => {}
            }
            match fate {
                0 => self.pending.clear(),
                1 => self.sync(),
                2 => self.keep_prefix(random, report),
                _ => self.keep_scattered(random, report),
            }
        }
        self.pending.clear();
        self.live.clone_from(&self.durable);
    }

    fn keep_prefix(&mut self, random: &mut SeededRandom, report: &mut impl FnMut(Fault)) {
        let kept = below(random, self.pending.len() + 1);
        let mut rest = self.pending.split_off(kept);
        if !self.pending.is_empty() {
            report(Fault::WriteKept);
        }
        self.sync();
        if rest.is_empty() {
            return;
        }
        report(Fault::WriteLost);
        let Change::Write { offset, bytes } = rest.swap_remove(0) else { return };
        let sectors = sectors(offset, bytes.len());
        let whole = below(random, sectors.len());
        for part in &sectors[..whole] {
            put(&mut self.durable, part.start, &bytes[part.start - offset..part.end - offset]);
        }
        if whole > 0 {
            report(Fault::WriteTorn);
        }
        let part = &sectors[whole];
        self.tear(part.start, &bytes[part.start - offset..part.end - offset], random, report);
    }

    fn keep_scattered(&mut self, random: &mut SeededRandom, report: &mut impl FnMut(Fault)) {
        let mut versions_kept = self.draw_versions(random);
        let keeps_length = random.below(4) == 0;
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::SetLen(len) if random.below(2) == 0 => self.durable.resize(len, 0),
                Change::SetLen(_) => {}
                Change::Write { offset, bytes } => {
                    self.scatter(offset, &bytes, &mut versions_kept, random, report);
                }
            }
        }
        if keeps_length {
            self.durable.resize(self.live.len(), 0);
        }
    }

    /// For each sector how many of the writes to it reach the disk.
    fn draw_versions(&self, random: &mut SeededRandom) -> BTreeMap<usize, usize> {
        let mut versions: BTreeMap<usize, usize> = BTreeMap::new();
        for change in &self.pending {
            if let Change::Write { offset, bytes } = change {
                for part in sectors(*offset, bytes.len()) {
                    *versions.entry(part.start / SECTOR).or_default() += 1;
                }
            }
        }
        for count in versions.values_mut() {
            *count = below(random, *count + 1);
        }
        versions
    }

    /// Writes those sectors whose versions are kept. Each one lost may leave a torn beginning.
    fn scatter(
        &mut self,
        offset: usize,
        bytes: &[u8],
        versions_kept: &mut BTreeMap<usize, usize>,
        random: &mut SeededRandom,
        report: &mut impl FnMut(Fault),
    ) {
        let (mut kept, mut lost) = (0, 0);
        for part in sectors(offset, bytes.len()) {
            let bytes = &bytes[part.start - offset..part.end - offset];
            let left = versions_kept.get_mut(&(part.start / SECTOR)).expect("it was counted");
            if *left > 0 {
                *left -= 1;
                kept += 1;
                put(&mut self.durable, part.start, bytes);
            } else {
                lost += 1;
                self.tear(part.start, bytes, random, report);
            }
        }
        for (happened, fault) in [
            (kept > 0, Fault::WriteKept),
            (lost > 0, Fault::WriteLost),
            (kept > 0 && lost > 0, Fault::WriteTorn),
        ] {
            if happened {
                report(fault);
            }
        }
    }

    /// Now and then the beginning of a sector is written and the rest is not.
    fn tear(
        &mut self,
        offset: usize,
        bytes: &[u8],
        random: &mut SeededRandom,
        report: &mut impl FnMut(Fault),
    ) {
        let torn = if random.below(4) == 0 { below(random, bytes.len()) } else { 0 };
        if torn > 0 {
            report(Fault::SectorTorn);
            put(&mut self.durable, offset, &bytes[..torn]);
        }
    }
}

/// The sectors that a write touches, each cut to what is written of it.
fn sectors(offset: usize, len: usize) -> Vec<Range<usize>> {
    let end = offset + len;
    let first = offset / SECTOR;
    let last = (end - 1) / SECTOR;
    (first..=last).map(|at| offset.max(at * SECTOR)..end.min((at + 1) * SECTOR)).collect()
}

/// Writes `bytes` at `offset`; a gap reads as zeros.
fn put(target: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[offset..end].copy_from_slice(bytes);
}

fn below(random: &mut SeededRandom, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("below a usize")
}
