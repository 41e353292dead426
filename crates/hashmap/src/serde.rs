//! Maps and sets as serde sees them: a map is a map, a set is a sequence.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::map::HashMap;
use crate::set::HashSet;

/// Entries that a length in the input may make us allocate for. It may be a lie.
const CAPACITY_MAX: usize = 4_096;

impl<K, V, S> Serialize for HashMap<K, V, S>
where
    K: Eq + Serialize + Send + 'static,
    V: Serialize + Send + 'static,
{
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        // Collected first: formats that write the length ahead need the exact one, and others may
        // write meanwhile.
        let pinned = self.pin();
        let entries: Vec<_> = pinned.iter().collect();
        serializer.collect_map(entries)
    }
}

impl<T, S> Serialize for HashSet<T, S>
where
    T: Eq + Serialize + Send + 'static,
{
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        let pinned = self.map.pin();
        let elements: Vec<_> = pinned.keys().collect();
        serializer.collect_seq(elements)
    }
}

struct MapVisitor<K, V, S>(PhantomData<(K, V, S)>);

impl<'de, K, V, S> Visitor<'de> for MapVisitor<K, V, S>
where
    K: Eq + Hash + Deserialize<'de> + Send + 'static,
    V: Deserialize<'de> + Send + 'static,
    S: BuildHasher + Default,
{
    type Value = HashMap<K, V, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let capacity = access.size_hint().unwrap_or(0).min(CAPACITY_MAX);
        let map = HashMap::with_capacity_and_hasher(capacity, S::default());
        while let Some((key, value)) = access.next_entry()? {
            map.insert(key, value);
        }
        Ok(map)
    }
}

impl<'de, K, V, S> Deserialize<'de> for HashMap<K, V, S>
where
    K: Eq + Hash + Deserialize<'de> + Send + 'static,
    V: Deserialize<'de> + Send + 'static,
    S: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MapVisitor(PhantomData))
    }
}

struct SetVisitor<T, S>(PhantomData<(T, S)>);

impl<'de, T, S> Visitor<'de> for SetVisitor<T, S>
where
    T: Eq + Hash + Deserialize<'de> + Send + 'static,
    S: BuildHasher + Default,
{
    type Value = HashSet<T, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let capacity = access.size_hint().unwrap_or(0).min(CAPACITY_MAX);
        let set = HashSet::with_capacity_and_hasher(capacity, S::default());
        while let Some(element) = access.next_element()? {
            set.pin().insert(element);
        }
        Ok(set)
    }
}

impl<'de, T, S> Deserialize<'de> for HashSet<T, S>
where
    T: Eq + Hash + Deserialize<'de> + Send + 'static,
    S: BuildHasher + Default,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SetVisitor(PhantomData))
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
