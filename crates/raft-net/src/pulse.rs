//! What nodes say to each other for all of their quiescent groups at once.
//!
//! ```text
//!   node 1 leads groups 5 ... 900            node 2 follows it in them
//!
//!   Word  { tick 40, changes: 5 in term 3 }  -->  carries group 5 for as long as words come
//!   Word  { tick 42 }                        -->  node 1 lives, and leads what it led
//!        <-- Echo { tick 42, refused: none }      all of it is carried, as of tick 42
//!   Word  { tick 44, changes: 5 no more }    -->  group 5 counts its own time again
//! ```
//!
//! A leader's node *vouches*: it leads these groups, each in this term. The list has a version, and
//! a word has what changed since the version that the peer is known to have; so a lost word costs
//! nothing, and a word that does not follow what the peer has means nothing. A peer that turns out
//! to have less than was known is told the whole list anew. The peer *carries* a group whose core
//! agrees, and refuses the others. To it a word is a heartbeat of each leader whose group it
//! carries; to the leader an echo is the answer of each of its followers there.
//!
//! # What this module does not do
//!
//! It knows no group: `node::peer` keeps the lists, `node::quiet` acts by them.

use bytes::{Buf, Bytes};
use raft::codec::DecodeError;
use raft::{GroupId, Term};

/// What a node says in one round to one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Which start of the sender this is; a later one has forgotten all lists.
    pub boot: u64,
    /// Of the groups that it leads.
    pub word: Option<Word>,
    /// The answer to the peer's last word.
    pub echo: Option<Echo>,
}

/// A node leads the groups in its list, now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// When it was said, in ticks of who says it.
    pub tick: u64,
    /// The version of the list that the changes are made to; 0 where they are the list, or its
    /// beginning.
    pub base: u64,
    /// The version with them.
    pub version: u64,
    /// Groups and the terms in which it leads them; term 0 where it vouches no more.
    pub changes: Vec<(GroupId, Term)>,
}

/// A node carries the groups in the list that it was sent, but for a few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// The start of the node whose word is answered.
    pub boot: u64,
    /// Of that word.
    pub tick: u64,
    /// What it has of the list.
    pub version: u64,
    /// What it does not carry of that.
    pub refused: Vec<GroupId>,
}

/// What stands before the changes of a word, or the groups of an echo.
const NUMBERS: usize = 28;

impl Pulse {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let put = |into: &mut Vec<u8>, number: u64| into.extend_from_slice(&number.to_le_bytes());
        let count = |into: &mut Vec<u8>, count: usize| {
            let count = u32::try_from(count).expect("a list of groups fits into memory");
            into.extend_from_slice(&count.to_le_bytes());
        };
        put(into, self.boot);
        into.push(u8::from(self.word.is_some()) | u8::from(self.echo.is_some()) << 1);
        if let Some(word) = &self.word {
            for it in [word.tick, word.base, word.version] {
                put(into, it);
            }
            count(into, word.changes.len());
            for (group, term) in &word.changes {
                put(into, group.0);
                put(into, term.0);
            }
        }
        if let Some(echo) = &self.echo {
            for it in [echo.boot, echo.tick, echo.version] {
                put(into, it);
            }
            count(into, echo.refused.len());
            echo.refused.iter().for_each(|group| put(into, group.0));
        }
    }

    /// About how many bytes it holds.
    pub(crate) fn weight(&self) -> usize {
        let changes = self.word.as_ref().map_or(0, |it| it.changes.len());
        16 * changes + 8 * self.echo.as_ref().map_or(0, |it| it.refused.len())
    }

    pub(crate) fn decode(mut from: Bytes) -> Result<Self, DecodeError> {
        let boot = number(&mut from)?;
        let kind = from.try_get_u8().map_err(|_| DecodeError::Short)?;
        if kind > 3 {
            return Err(DecodeError::Kind { what: "a pulse", kind });
        }
        let (mut word, mut echo) = (None, None);
        if kind & 1 != 0 {
            let ([tick, base, version], count) = head(&mut from, 16)?;
            let mut changes = Vec::with_capacity(count);
            for _ in 0..count {
                changes.push((GroupId(number(&mut from)?), Term(number(&mut from)?)));
            }
            word = Some(Word { tick, base, version, changes });
        }
        if kind & 2 != 0 {
            let ([of, tick, version], count) = head(&mut from, 8)?;
            let mut refused = Vec::with_capacity(count);
            for _ in 0..count {
                refused.push(GroupId(number(&mut from)?));
            }
            echo = Some(Echo { boot: of, tick, version, refused });
        }
        if from.is_empty() {
            Ok(Self { boot, word, echo })
        } else {
            Err(DecodeError::Long { rest: from.len() })
        }
    }
}

fn number(from: &mut Bytes) -> Result<u64, DecodeError> {
    from.try_get_u64_le().map_err(|_| DecodeError::Short)
}

/// Three numbers and how many items of `size` bytes follow, all of which are there.
fn head(from: &mut Bytes, size: usize) -> Result<([u64; 3], usize), DecodeError> {
    if from.len() < NUMBERS {
        return Err(DecodeError::Short);
    }
    let numbers = [from.get_u64_le(), from.get_u64_le(), from.get_u64_le()];
    let count = from.get_u32_le() as usize;
    let is_there = count.checked_mul(size).is_some_and(|bytes| bytes <= from.len());
    if is_there { Ok((numbers, count)) } else { Err(DecodeError::Short) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pulse() -> Pulse {
        let changes = vec![(GroupId(5), Term(3)), (GroupId(6), Term(0))];
        let word = Word { tick: 40, base: 2, version: 4, changes };
        let echo = Echo { boot: 9, tick: 38, version: 7, refused: vec![GroupId(1), GroupId(8)] };
        Pulse { boot: 77, word: Some(word), echo: Some(echo) }
    }

    fn bytes(pulse: &Pulse) -> Bytes {
        let mut bytes = Vec::new();
        pulse.encode(&mut bytes);
        bytes.into()
    }

    #[test]
    fn pulses_are_read_as_they_were_written_and_never_in_part() {
        let whole = pulse();
        let halves = [
            Pulse { word: None, ..whole.clone() },
            Pulse { echo: None, ..whole.clone() },
            Pulse { boot: 1, ..Pulse::default() },
        ];
        for pulse in halves.iter().chain([&whole]) {
            assert_eq!(Pulse::decode(bytes(pulse)).as_ref(), Ok(pulse));
        }
        let bytes = bytes(&whole);
        for len in 0..bytes.len() {
            assert!(Pulse::decode(bytes.slice(..len)).is_err(), "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_pulse_or_an_error(from in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(pulse) = Pulse::decode(from.clone().into()) {
                prop_assert_eq!(&bytes(&pulse)[..], &from[..]);
            }
        }
    }
}
