//! The two lists that a node keeps for a peer: groups that it vouches for there, and groups that it
//! carries for the peer. See `pulse` for what is said of them.
//!
//! # What this module does not do
//!
//! It touches no group, and counts time only as it is told.

use std::collections::{BTreeMap, BTreeSet};

use raft::{GroupId, Term};

use crate::pulse::{Echo, Word};

/// Most changes of a word; the next one has the rest.
const CHANGES_MAX: usize = 4_096;

/// Who refuses more than this does not answer, and so carries nothing.
const REFUSED_MAX: usize = 4_096;

/// Who refuses more than this forgets the list: the leader is not answered, and so repeats the same
/// changes, unless it is no leader.
const REFUSED_KEPT: usize = REFUSED_MAX + 2 * CHANGES_MAX;

/// A group in the list, or that was in it where the term is 0.
#[derive(Clone, Copy, Debug)]
struct Vouch {
    version: u64,
    term: Term,
}

/// Groups that this node leads, as one peer is told.
#[derive(Debug, Default)]
pub(super) struct Vouched {
    groups: BTreeMap<GroupId, Vouch>,
    /// Invariant: the group of each version in `groups`.
    order: BTreeMap<u64, GroupId>,
    /// Versions by which a group left the list, until the peer has them.
    withdrawn: BTreeSet<u64>,
    version: u64,
    /// The first version since the list was begun anew.
    first: u64,
    /// The peer has the list up to this version; 0 where it has nothing of it.
    known: u64,
    /// When the last word was said that it has answered.
    answered: Option<u64>,
}

impl Vouched {
    fn change(&mut self, group: GroupId, term: Term) {
        self.version += 1;
        let vouch = Vouch { version: self.version, term };
        if let Some(former) = self.groups.insert(group, vouch) {
            self.order.remove(&former.version);
        }
        self.order.insert(self.version, group);
    }

    /// This node leads a group in a term. Nothing happens where that is in the list.
    pub(super) fn vouch(&mut self, group: GroupId, term: Term) {
        if self.groups.get(&group).is_none_or(|it| it.term != term) {
            self.change(group, term);
        }
    }

    /// It leads it no more, or not so that the peer agrees.
    pub(super) fn withdraw(&mut self, group: GroupId) {
        if self.groups.get(&group).is_some_and(|it| it.term != Term(0)) {
            self.change(group, Term(0));
            self.withdrawn.insert(self.version);
        }
    }

    /// Whether nothing was ever in it.
    pub(super) const fn is_new(&self) -> bool {
        self.version == 0
    }

    /// The groups in the list.
    pub(super) fn groups(&self) -> Vec<GroupId> {
        let vouched = self.groups.iter().filter(|(_, it)| it.term != Term(0));
        vouched.map(|(group, _)| *group).collect()
    }

    /// What to say; nothing where there is no list.
    pub(super) fn word(&self, tick: u64) -> Option<Word> {
        if self.groups.is_empty() {
            return None;
        }
        let news = self.order.range(self.known + 1..).take(CHANGES_MAX);
        let changes: Vec<_> =
            news.map(|(version, group)| (*version, (*group, self.groups[group].term))).collect();
        let version = match changes.last() {
            Some((last, _)) if changes.len() == CHANGES_MAX => *last,
            _ => self.version,
        };
        let changes = changes.into_iter().map(|(_, change)| change).collect();
        Some(Word { tick, base: self.known, version, changes })
    }

    /// The peer has answered; returns groups that it does not carry, though it was thought to.
    pub(super) fn answered(&mut self, echo: &Echo) -> Vec<GroupId> {
        let is_late = self.answered.is_some_and(|tick| echo.tick < tick);
        if is_late || echo.version > self.version {
            return Vec::new();
        }
        self.answered = Some(echo.tick);
        if echo.version < self.known {
            self.begin_anew();
            return self.groups();
        }
        // The answer to a word from before the list was begun anew says nothing of this one.
        self.known = if echo.version < self.first { 0 } else { echo.version };
        let mut lost = Vec::new();
        for group in &echo.refused {
            // It may have been offered again since.
            if self.groups.get(group).is_some_and(|it| it.version <= echo.version) {
                self.withdraw(*group);
                lost.push(*group);
            }
        }
        while self.withdrawn.first().is_some_and(|version| *version <= self.known) {
            let version = self.withdrawn.pop_first().expect("it was looked at");
            // It has another version where it is in the list again.
            if let Some(group) = self.order.remove(&version) {
                self.groups.remove(&group);
            }
        }
        lost
    }

    /// The peer was started again, and may have a word from before. What was withdrawn since is
    /// known nowhere any more: so it is told the whole list, by versions that no word had yet.
    fn begin_anew(&mut self) {
        (self.first, self.known) = (self.version + 1, 0);
        self.withdrawn.clear();
        self.order.clear();
        self.groups.retain(|_, it| it.term != Term(0));
        for (group, vouch) in &mut self.groups {
            self.version += 1;
            vouch.version = self.version;
            self.order.insert(self.version, *group);
        }
    }

    /// When the word was said by whose answer the peer follows in this group and term.
    pub(super) fn heard(&self, group: GroupId, term: Term) -> Option<u64> {
        let vouch = self.groups.get(&group)?;
        let is_carried = vouch.term == term && vouch.version <= self.known;
        self.answered.filter(|_| is_carried)
    }

    /// When the last word was said that was answered, where there is a list.
    pub(super) fn last_heard(&self) -> Option<u64> {
        self.answered.filter(|_| !self.groups.is_empty())
    }
}

/// Groups that a peer leads and this node follows it in.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Which start of the peer the list is from.
    boot: u64,
    version: u64,
    groups: BTreeMap<GroupId, Term>,
    refused: BTreeSet<GroupId>,
    /// The last word, in the peer's ticks.
    tick: u64,
    /// When it came, in this node's.
    heard: u64,
    /// It is to be answered.
    is_asked: bool,
}

impl Carried {
    /// The peer has said a word. `agrees` tells whether a group's core follows it in a term.
    /// Returns groups of which something has changed.
    pub(super) fn take(
        &mut self,
        boot: u64,
        word: &Word,
        now: u64,
        agrees: impl Fn(GroupId, Term) -> bool,
    ) -> Vec<GroupId> {
        let mut changed = Vec::new();
        if boot != self.boot {
            changed.extend(self.groups.keys());
            *self = Self { boot, ..Self::default() };
        }
        if word.tick < self.tick || word.changes.len() > CHANGES_MAX {
            return changed;
        }
        (self.tick, self.is_asked) = (word.tick, true);
        if word.base > self.version || word.version < self.version {
            // A list that this one does not come before: the answer says what there is.
            return changed;
        }
        if word.base == 0 {
            changed.extend(self.groups.keys());
            self.groups.clear();
            self.refused.clear();
        }
        for &(group, term) in &word.changes {
            changed.push(group);
            self.groups.remove(&group);
            self.refused.remove(&group);
            if term == Term(0) {
                continue;
            }
            if agrees(group, term) {
                self.groups.insert(group, term);
            } else {
                self.refused.insert(group);
            }
        }
        (self.version, self.heard) = (word.version, now);
        if self.refused.len() > REFUSED_KEPT {
            changed.extend(self.groups.keys());
            *self = Self { boot, tick: self.tick, ..Self::default() };
        }
        changed
    }

    /// A group follows the peer no more, whatever its words say.
    pub(super) fn refuse(&mut self, group: GroupId) {
        if self.groups.remove(&group).is_some() {
            self.refused.insert(group);
        }
    }

    /// The answer to the last word, once.
    pub(super) fn echo(&mut self) -> Option<Echo> {
        if !std::mem::take(&mut self.is_asked) || self.refused.len() > REFUSED_MAX {
            return None;
        }
        let refused = self.refused.iter().copied().collect();
        Some(Echo { boot: self.boot, tick: self.tick, version: self.version, refused })
    }

    /// When the peer was last heard to lead this group in this term.
    pub(super) fn heard(&self, group: GroupId, term: Term) -> Option<u64> {
        (self.groups.get(&group) == Some(&term)).then_some(self.heard)
    }

    /// When it was last heard, where it leads anything.
    pub(super) fn last_heard(&self) -> Option<u64> {
        (!self.groups.is_empty()).then_some(self.heard)
    }

    /// Whether no group is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The groups in the list.
    pub(super) fn groups(&self) -> Vec<GroupId> {
        self.groups.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests;
