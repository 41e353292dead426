//! What one key of a map may answer: the specification that histories are held against.

use harness::check::model::Specification;

/// The value of one key, at first absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cell(Option<u64>);

/// What is asked of one key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Get(u64),
    Has(u64),
    /// Answers the former value.
    Insert(u64, u64),
    /// The same as a part of many: whether the key was new, where that is known.
    Put(u64, u64),
    /// Answers the value that is in the way.
    TryInsert(u64, u64),
    GetOrInsert(u64, u64),
    /// Answers the former value; silent where another one was in its place by then.
    Remove(u64),
    RemoveIfOdd(u64),
    /// Adds, and answers the sum.
    Add(u64, u64),
    AddOrInsert(u64, u64),
    /// Removes a value, or else puts this one; answers the former value.
    Toggle(u64, u64),
    /// Answers what was found.
    Exchange(u64, Option<u64>, Option<u64>),
    /// Replaces a value; silent where another one was in its place by then.
    Replace(u64, u64),
    /// A sweep removes the value, or only an odd one; silent where it did not try.
    Vanish {
        key: u64,
        odd_only: bool,
        /// Also if it was replaced since the sweep found it.
        for_sure: bool,
    },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Value(Option<u64>),
    Is(bool),
    /// Nothing that would say anything about the key.
    Silent,
}

impl Cell {
    pub(super) fn new(value: Option<u64>) -> Self {
        Self(value)
    }

    pub(super) fn value(&self) -> Option<u64> {
        self.0
    }

    /// The cell after a call that took effect, and its answer.
    pub(super) fn after(&self, call: &Call) -> (Self, Answer) {
        let now = self.0;
        let is_odd = now.is_some_and(|value| value % 2 == 1);
        let (after, value) = match *call {
            Call::Get(_) => (now, now),
            Call::Has(_) => return (Self(now), Answer::Is(now.is_some())),
            Call::Put(_, value) => return (Self(Some(value)), Answer::Is(now.is_none())),
            Call::Insert(_, value) => (Some(value), now),
            Call::TryInsert(_, value) => (now.or(Some(value)), now),
            Call::GetOrInsert(_, value) => (now.or(Some(value)), now.or(Some(value))),
            Call::Remove(_) => (None, now),
            Call::RemoveIfOdd(_) => (now.filter(|_| !is_odd), now.filter(|_| is_odd)),
            Call::Add(_, term) => (now.map(|it| it + term), now.map(|it| it + term)),
            Call::AddOrInsert(_, term) => {
                let sum = Some(now.map_or(term, |it| it + term));
                (sum, sum)
            }
            Call::Toggle(_, value) => (now.is_none().then_some(value), now),
            Call::Exchange(_, expected, new) => (if now == expected { new } else { now }, now),
            Call::Replace(_, value) => (now.map(|_| value), now),
            Call::Vanish { odd_only, .. } => {
                return (Self(now.filter(|_| odd_only && !is_odd)), Answer::Is(true));
            }
        };
        (Self(after), Answer::Value(value))
    }
}

impl Specification for Cell {
    type Op = Call;
    type Ret = Answer;
    type Key = u64;

    fn key(call: &Call) -> u64 {
        match *call {
            Call::Get(key)
            | Call::Has(key)
            | Call::Insert(key, _)
            | Call::Put(key, _)
            | Call::TryInsert(key, _)
            | Call::GetOrInsert(key, _)
            | Call::Remove(key)
            | Call::RemoveIfOdd(key)
            | Call::Add(key, _)
            | Call::AddOrInsert(key, _)
            | Call::Toggle(key, _)
            | Call::Exchange(key, ..)
            | Call::Replace(key, _)
            | Call::Vanish { key, .. } => key,
        }
    }

    fn successors(&self, call: &Call, answer: Option<&Answer>, next: &mut Vec<Self>) {
        let (after, due) = self.after(call);
        let may_fail = matches!(call, Call::Vanish { for_sure: false, .. });
        match answer {
            Some(Answer::Silent) if matches!(call, Call::Put(..)) => next.push(after),
            Some(Answer::Silent) => next.push(self.clone()),
            Some(answer) if *answer != due => {}
            Some(_) if may_fail => next.extend([self.clone(), after]),
            Some(_) => next.push(after),
            None => next.extend([self.clone(), after]),
        }
    }

    fn is_observation(call: &Call, answer: &Answer) -> bool {
        match (call, answer) {
            (Call::Put(..), _) => false,
            (Call::Get(_) | Call::Has(_), _) | (_, Answer::Silent) => true,
            (Call::Exchange(_, expected, _), Answer::Value(found)) => found != expected,
            (Call::TryInsert(..), Answer::Value(found)) => found.is_some(),
            (Call::Remove(_) | Call::RemoveIfOdd(_) | Call::Add(..), Answer::Value(found)) => {
                found.is_none()
            }
            _ => false,
        }
    }
}
