//! How a configuration may change. Pure functions from one configuration to the next.
//!
//! ```text
//!   simple   C ------------------------------> C'            one voter more or fewer (D§4.1)
//!   joint    C_old ---> C_old,new ---> C_new                 any change, in two steps (§6)
//!                       both decide
//! ```
//!
//! Two majorities of configurations that differ by one voter have a server in common; so have the
//! majorities of a joint configuration with those of either half. That, and that a leader proposes
//! no configuration before the last one and an entry of its own term are committed (the correction
//! of 2015 to D§4.1), is all that safety needs.
//!
//! # Witnesses
//!
//! A majority commits, so each majority must have somebody who keeps the command: fewer witnesses
//! than a majority of the voters, in either half. Two servers and a witness are the smallest such
//! cluster. What a witness buys is a vote and not a copy: while one of the two is away, the other
//! one's disk is the only one.
//!
//! # What this module does not do
//!
//! It does not ask whether a change is wise: three voters may become one.

use std::fmt;

use crate::quorum::{Tally, majority, reached_jointly, tally_jointly};
use crate::types::{Configuration, Incarnation, NodeId};

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It votes from now on: a new member, or a learner that has caught up. With the incarnation
    /// of a witness's disk it votes as a witness.
    AddVoter(NodeId, Incarnation),
    /// It gets the log and does not vote: a new member, or one that voted.
    AddLearner(NodeId, Incarnation),
    /// It is a member no more.
    Remove(NodeId),
}

/// Why a configuration cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Nobody would decide, or nobody does: a joint change begins with a configuration.
    #[error("no voter is left, or none was there: add one in the same simple change")]
    NoVoters,
    /// Too much at once.
    #[error("{count} voters change at once, and a simple change allows one: use a joint change")]
    TooManyVoters {
        /// How many.
        count: usize,
    },
    /// The last change is not over.
    #[error("the configuration is joint: wait until it is left, or leave it")]
    IsJoint,
    /// There is nothing to leave.
    #[error("the configuration is not joint, so that there is nothing to leave")]
    NotJoint,
    /// A member comes with another disk only once it has gone with the one before: to the
    /// arithmetic above it is another voter, although it has the same name.
    #[error("member {id} has disk {known}: remove it in a change before the one that adds another")]
    OtherIncarnation {
        /// Who.
        id: NodeId,
        /// Its disk.
        known: Incarnation,
    },
    /// A majority could be of witnesses alone, and nobody would have what it commits.
    #[error(
        "{witnesses} of {voters} voters would be witnesses, so that a majority could have no copy \
         of a command: add a voter that is none first"
    )]
    TooManyWitnesses {
        /// How many.
        witnesses: usize,
        /// Of how many.
        voters: usize,
    },
}

impl Configuration {
    /// The configuration with which a cluster begins.
    pub fn founding(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let mut voters: Vec<_> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        let members = voters.iter().map(|&id| (id, Incarnation::default())).collect();
        Self { voters, members, ..Self::default() }
    }

    /// The configuration with which a cluster begins that has witnesses: the founding members, and
    /// the disk of each, [`Incarnation::witness`] of 0 for a witness and 0 for everybody else.
    ///
    /// Fails where a majority could be of witnesses alone.
    pub fn founding_with(
        members: impl IntoIterator<Item = (NodeId, Incarnation)>,
    ) -> Result<Self, ConfigurationError> {
        let changes: Vec<_> =
            members.into_iter().map(|(id, disk)| Change::AddVoter(id, disk)).collect();
        Self::default().changed(&changes)
    }

    /// Whether two configurations decide together.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `id` votes, in either half.
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.binary_search(&id).is_ok() || self.outgoing.binary_search(&id).is_ok()
    }

    /// Whether `id` is a member without commands; see [`Incarnation`].
    pub fn is_witness(&self, id: NodeId) -> bool {
        self.incarnation(id).is_some_and(Incarnation::is_witness)
    }

    /// How many of `voters` are witnesses.
    fn witnesses(&self, voters: &[NodeId]) -> usize {
        voters.iter().filter(|id| self.is_witness(**id)).count()
    }

    /// Who learns once the configuration is left: it votes until then.
    pub fn learners_next(&self) -> impl Iterator<Item = NodeId> {
        self.learners.iter().copied().filter(|id| self.outgoing.contains(id))
    }

    /// The disk by which `id` is known.
    pub fn incarnation(&self, id: NodeId) -> Option<Incarnation> {
        let position = self.members.binary_search_by_key(&id, |(member, _)| *member).ok()?;
        Some(self.members[position].1)
    }

    /// What a majority has reached; see [`reached_jointly`].
    pub fn reached(&self, number: impl Fn(NodeId) -> u64) -> u64 {
        reached_jointly(&self.voters, &self.outgoing, number)
    }

    /// What became of an election; see [`tally_jointly`].
    pub fn tally(&self, vote: impl Fn(NodeId) -> Option<bool>) -> Tally {
        tally_jointly(&self.voters, &self.outgoing, vote)
    }

    /// The next configuration where at most one voter changes. What is so already stays so.
    pub fn simple(&self, changes: &[Change]) -> Result<Self, ConfigurationError> {
        let next = self.changed(changes)?;
        let differs = |id: &&NodeId| self.voters.contains(id) != next.voters.contains(id);
        let mut all: Vec<_> = self.voters.iter().chain(&next.voters).filter(differs).collect();
        all.sort_unstable();
        all.dedup();
        match all.len() {
            0 | 1 => Ok(next),
            count => Err(ConfigurationError::TooManyVoters { count }),
        }
    }

    /// The joint configuration on the way to what `changes` make of this one.
    pub fn joint(&self, changes: &[Change], auto_leave: bool) -> Result<Self, ConfigurationError> {
        let mut next = self.changed(changes)?;
        if self.voters.is_empty() {
            return Err(ConfigurationError::NoVoters);
        }
        next.outgoing.clone_from(&self.voters);
        next.auto_leave = auto_leave;
        // Who votes in `C_old` is a member until it is left, and learns only after that.
        for id in &next.outgoing {
            if let Err(position) = next.members.binary_search_by_key(id, |(member, _)| *member) {
                let known = self.incarnation(*id).expect("a voter is a member");
                next.members.insert(position, (*id, known));
            }
        }
        Ok(next)
    }

    /// `C_new` alone.
    pub fn left(&self) -> Result<Self, ConfigurationError> {
        if !self.is_joint() {
            return Err(ConfigurationError::NotJoint);
        }
        let mut next = Self { outgoing: Vec::new(), auto_leave: false, ..self.clone() };
        let stays = |id: &NodeId| next.voters.contains(id) || next.learners.contains(id);
        next.members = self.members.iter().copied().filter(|(id, _)| stays(id)).collect();
        Ok(next)
    }

    fn changed(&self, changes: &[Change]) -> Result<Self, ConfigurationError> {
        if self.is_joint() {
            return Err(ConfigurationError::IsJoint);
        }
        let mut next = self.clone();
        for change in changes {
            next.apply(*change)?;
        }
        self.check_disks(&next)?;
        if next.voters.is_empty() {
            return Err(ConfigurationError::NoVoters);
        }
        let (witnesses, voters) = (next.witnesses(&next.voters), next.voters.len());
        if witnesses >= majority(voters) {
            return Err(ConfigurationError::TooManyWitnesses { witnesses, voters });
        }
        Ok(next)
    }

    /// Fails where a member of both configurations has another disk in the next.
    fn check_disks(&self, next: &Self) -> Result<(), ConfigurationError> {
        let replaced = |(id, known): &&(NodeId, Incarnation)| {
            next.incarnation(*id).is_some_and(|disk| disk != *known)
        };
        match self.members.iter().find(replaced) {
            Some(&(id, known)) => Err(ConfigurationError::OtherIncarnation { id, known }),
            None => Ok(()),
        }
    }

    fn apply(&mut self, change: Change) -> Result<(), ConfigurationError> {
        let (Change::AddVoter(id, _) | Change::AddLearner(id, _) | Change::Remove(id)) = change;
        self.voters.retain(|voter| *voter != id);
        self.learners.retain(|learner| *learner != id);
        match change {
            Change::AddVoter(_, incarnation) => {
                self.admit(id, incarnation)?;
                insert(&mut self.voters, id);
            }
            Change::AddLearner(_, incarnation) => {
                self.admit(id, incarnation)?;
                insert(&mut self.learners, id);
            }
            Change::Remove(_) => self.members.retain(|(member, _)| *member != id),
        }
        Ok(())
    }

    fn admit(&mut self, id: NodeId, incarnation: Incarnation) -> Result<(), ConfigurationError> {
        match self.members.binary_search_by_key(&id, |(member, _)| *member) {
            Ok(position) if self.members[position].1 == incarnation => Ok(()),
            Ok(position) => {
                Err(ConfigurationError::OtherIncarnation { id, known: self.members[position].1 })
            }
            Err(position) => {
                self.members.insert(position, (id, incarnation));
                Ok(())
            }
        }
    }

    /// Whether the configuration holds its invariants.
    pub fn is_sound(&self) -> bool {
        let is_sorted = |list: &[NodeId]| list.windows(2).all(|pair| pair[0] < pair[1]);
        let is_known = |list: &[NodeId]| list.iter().all(|id| self.incarnation(*id).is_some());
        let lists = [&self.voters, &self.outgoing, &self.learners];
        let has_copies = |half: &[NodeId]| self.witnesses(half) < majority(half.len());
        lists.into_iter().all(|list| is_sorted(list) && is_known(list))
            && self.members.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && self.learners.iter().all(|id| !self.voters.contains(id))
            && has_copies(&self.voters)
            && has_copies(&self.outgoing)
    }

    /// Panics where the configuration contradicts itself.
    pub fn check_invariants(&self) {
        assert!(
            self.is_sound(),
            "sorted lists of members, none votes and learns, no majority of witnesses: {self:?}"
        );
    }
}

/// As the field writes configurations: `voters=(2 3)&&(1) learners=(4) learners_next=(1)`.
///
/// ```
/// use raft::{Change, Configuration, Incarnation, NodeId};
///
/// let one = Configuration::founding([NodeId(1)]);
/// assert_eq!(one.to_string(), "voters=(1)");
/// let changes = [(2, true), (1, false)].map(|(id, votes)| match votes {
///     true => Change::AddVoter(NodeId(id), Incarnation::default()),
///     false => Change::AddLearner(NodeId(id), Incarnation::default()),
/// });
/// let joint = one.joint(&changes, true)?;
/// assert_eq!(joint.to_string(), "voters=(2)&&(1) learners_next=(1) autoleave");
/// assert_eq!(joint.left()?.to_string(), "voters=(2) learners=(1)");
/// # Ok::<(), raft::ConfigurationError>(())
/// ```
impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ids: &mut dyn Iterator<Item = NodeId>| {
            ids.map(|id| id.to_string()).collect::<Vec<_>>().join(" ")
        };
        write!(f, "voters=({})", list(&mut self.voters.iter().copied()))?;
        if self.is_joint() {
            write!(f, "&&({})", list(&mut self.outgoing.iter().copied()))?;
        }
        let learns_now = |id: &NodeId| !self.outgoing.contains(id);
        let now = list(&mut self.learners.iter().copied().filter(learns_now));
        let next = list(&mut self.learners_next());
        for (name, ids) in [("learners", now), ("learners_next", next)] {
            if !ids.is_empty() {
                write!(f, " {name}=({ids})")?;
            }
        }
        if self.auto_leave { f.write_str(" autoleave") } else { Ok(()) }
    }
}

fn insert(sorted: &mut Vec<NodeId>, id: NodeId) {
    if let Err(position) = sorted.binary_search(&id) {
        sorted.insert(position, id);
    }
}

#[cfg(test)]
mod tests;
