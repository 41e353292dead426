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

/// How many of `voters` are a majority.
pub const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The largest number that a majority of `voters` has reached; `u64::MAX` where nobody votes.
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

/// The largest number that majorities of both halves have reached.
pub fn reached_jointly(
    voters: &[NodeId],
    outgoing: &[NodeId],
    number: impl Fn(NodeId) -> u64,
) -> u64 {
    reached(voters, &number).min(reached(outgoing, &number))
}

/// What became of an election that needs both halves.
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
