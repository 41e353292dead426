//! One key of a map. The other keys are independent, so the model does not know them.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::marker::PhantomData;

use super::Model;

/// The value of one key of a map from `K` to numbers, at first absent.
///
/// Every operation answers with an `Option<u64>`, which keeps histories easy to read.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MapCell<K> {
    /// The value; `None` while the key is absent.
    pub value: Option<u64>,
    key: PhantomData<K>,
}

/// What can be asked of a map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MapOp<K> {
    /// Answers the value.
    Get(K),
    /// Sets the value and answers the former one.
    Insert(K, u64),
    /// Makes the key absent and answers its former value.
    Remove(K),
    /// Adds to the value, wrapping, and answers the *new* value; where the key is absent nothing
    /// changes and the answer is `None`. Stands for every update that depends on the old value.
    Add(K, u64),
    /// Replaces the second value by the third, and answers what was found: the exchange happened
    /// exactly when that is the second value.
    CompareExchange(K, u64, u64),
}

impl<K> MapCell<K> {
    /// A cell that holds `value`.
    pub const fn new(value: Option<u64>) -> Self {
        Self { value, key: PhantomData }
    }
}

impl<K> Default for MapCell<K> {
    fn default() -> Self {
        Self::new(None)
    }
}

impl<K> Debug for MapCell<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapCell").field(&self.value).finish()
    }
}

impl<K: Clone + Debug + Ord + Hash> Model for MapCell<K> {
    type Op = MapOp<K>;
    type Ret = Option<u64>;
    type Key = K;

    fn key(op: &MapOp<K>) -> K {
        match op {
            MapOp::Get(key)
            | MapOp::Insert(key, _)
            | MapOp::Remove(key)
            | MapOp::Add(key, _)
            | MapOp::CompareExchange(key, _, _) => key.clone(),
        }
    }

    fn apply(&mut self, op: &MapOp<K>) -> Option<u64> {
        match *op {
            MapOp::Get(_) => self.value,
            MapOp::Insert(_, value) => self.value.replace(value),
            MapOp::Remove(_) => self.value.take(),
            MapOp::Add(_, amount) => {
                self.value = self.value.map(|value| value.wrapping_add(amount));
                self.value
            }
            MapOp::CompareExchange(_, current, new) => {
                let found = self.value;
                if found == Some(current) {
                    self.value = Some(new);
                }
                found
            }
        }
    }

    fn is_observation(op: &MapOp<K>, ret: &Option<u64>) -> bool {
        match *op {
            MapOp::Get(_) => true,
            MapOp::Insert(..) => false,
            MapOp::Remove(_) | MapOp::Add(..) => ret.is_none(),
            MapOp::CompareExchange(_, current, _) => *ret != Some(current),
        }
    }
}
