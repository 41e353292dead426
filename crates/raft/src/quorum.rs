//! Majorities, and majorities of two configurations at once. Pure arithmetic.
//!
//! ```text
//!   voters   1 2 3 4 5        matched   9 7 7 5 2   sorted, the third of five: 7
//!                                           ^
//!   a joint configuration needs both halves to agree: the smaller of two such numbers (§6)
//! ```
//!
//! The rules for nobody are those that make a joint configuration with an empty half the same as
//! the other half alone: nobody has reached everything, and nobody grants every vote.
//!
//! # What this module does not do
//!
//! It keeps no state and trusts no increment: each answer is computed from all the numbers. A count
//! that is adjusted in place has raised a commit index without a majority before.

use std::fmt;

use crate::mutants::{Bug, on};
use crate::types::NodeId;

/// Voters that are sorted on the stack; more of them cost an allocation.
const STACK: usize = 16;

/// What became of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// A majority has said yes.
    Won,
    /// So many have said no that no majority is left.
    Lost,
    /// It can still go either way.
    Pending,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Pending => "pending",
        })
    }
}

/// How many of `voters` are a majority.
///
/// ```
/// use raft::quorum::majority;
///
/// assert_eq!([1, 2, 3, 4, 5].map(majority), [1, 2, 2, 3, 3]);
/// ```
pub const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The largest number that a majority of `voters` has reached; `u64::MAX` where nobody votes. Of
/// acknowledged indices that is the committed index, as far as terms allow (§5.4.2).
///
/// A voter of whom nothing is known has 0. `O(n log n)`.
///
/// ```
/// use raft::NodeId;
/// use raft::quorum::reached;
///
/// let voters = [1, 2, 3, 4, 5].map(NodeId);
/// let acknowledged = |id: NodeId| [9, 7, 7, 5, 2][id.0 as usize - 1];
/// assert_eq!(reached(&voters, acknowledged), 7);
/// assert_eq!(reached(&voters[..2], acknowledged), 7, "of two, both");
/// assert_eq!(reached(&[], acknowledged), u64::MAX);
/// ```
pub fn reached(voters: &[NodeId], number: impl Fn(NodeId) -> u64) -> u64 {
    let count = voters.len();
    if count == 0 {
        return u64::MAX;
    }
    let (mut stack, mut heap) = ([0; STACK], Vec::new());
    let numbers = if count <= STACK {
        &mut stack[..count]
    } else {
        heap.resize(count, 0);
        &mut heap[..]
    };
    for (slot, &voter) in numbers.iter_mut().zip(voters) {
        *slot = number(voter);
    }
    if !on(Bug::QuorumNotSorted) {
        numbers.sort_unstable();
    }
    let short = usize::from(on(Bug::QuorumOneShort) && count > 1);
    numbers[count - majority(count) + short]
}

/// What became of an election among `voters`; `None` is a vote that has not come.
///
/// ```
/// use raft::NodeId;
/// use raft::quorum::{Tally, tally};
///
/// let voters = [1, 2, 3].map(NodeId);
/// let votes = |yes: &[u64], no: &[u64]| {
///     let of = |id: NodeId| if yes.contains(&id.0) { Some(true) } else { None };
///     tally(&voters, |id| of(id).or(no.contains(&id.0).then_some(false)))
/// };
/// assert_eq!(votes(&[1, 2], &[]), Tally::Won);
/// assert_eq!(votes(&[1], &[2]), Tally::Pending);
/// assert_eq!(votes(&[1], &[2, 3]).to_string(), "lost");
/// assert_eq!(tally(&[], |_| None), Tally::Won, "nobody is against it");
/// ```
pub fn tally(voters: &[NodeId], vote: impl Fn(NodeId) -> Option<bool>) -> Tally {
    let count = |wanted| voters.iter().filter(|&&voter| vote(voter) == Some(wanted)).count();
    let (yes, no) = (count(true), count(false));
    if voters.is_empty() || yes >= majority(voters.len()) {
        Tally::Won
    } else if voters.len() - no < majority(voters.len()) {
        Tally::Lost
    } else {
        Tally::Pending
    }
}

/// The largest number that majorities of both halves have reached (§6). One half may be empty: then
/// the other one decides alone.
///
/// ```
/// use raft::NodeId;
/// use raft::quorum::reached_jointly;
///
/// let (new, old) = ([1, 2, 3].map(NodeId), [3, 4, 5].map(NodeId));
/// let acknowledged = |id: NodeId| [12, 5, 6, 11, 10][id.0 as usize - 1];
/// assert_eq!(reached_jointly(&new, &old, acknowledged), 6, "6 of the new, 10 of the old");
/// assert_eq!(reached_jointly(&new, &[], acknowledged), 6);
/// ```
pub fn reached_jointly(
    voters: &[NodeId],
    outgoing: &[NodeId],
    number: impl Fn(NodeId) -> u64,
) -> u64 {
    reached(voters, &number).min(reached(outgoing, &number))
}

/// What became of an election that needs both halves: lost where one is lost, won where both are.
pub fn tally_jointly(
    voters: &[NodeId],
    outgoing: &[NodeId],
    vote: impl Fn(NodeId) -> Option<bool>,
) -> Tally {
    match (tally(voters, &vote), tally(outgoing, &vote)) {
        (Tally::Won, Tally::Won) => Tally::Won,
        (Tally::Lost, _) | (_, Tally::Lost) => Tally::Lost,
        _ => Tally::Pending,
    }
}

#[cfg(test)]
mod tests;
