//! Removals that come one by one, and a reader who asks for one key after the other.
//!
//! A memtable gets a removal at a time, and readers need what there is sorted at once. To sort all
//! of them anew for each would take n steps for every removal. Layers take log n: each is sorted
//! for itself and larger than the next, and a new one swallows those that are not (the logarithmic
//! method; Bentley, Saxe, 1980).
//!
//! ```text
//!   1 removal   [1]                 4   [ 1 2 3 4 ]
//!   2           [ 1 2 ]             5   [ 1 2 3 4 ] [5]
//!   3           [ 1 2 ] [3]         6   [ 1 2 3 4 ] [ 5 6 ]
//! ```

use std::sync::Arc;

use super::{Removal, Removals};
use crate::stamp::Sequence;

/// Removals of one memtable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers(Vec<Arc<Removals>>);

impl Layers {
    /// These and one that is newer than all.
    pub(crate) fn with(&self, removal: Removal) -> Self {
        let (mut layers, mut newest) = (self.0.clone(), vec![removal]);
        while let Some(last) = layers.pop_if(|it| it.all().len() <= newest.len()) {
            newest.splice(0..0, last.all().iter().cloned());
        }
        layers.push(Arc::new(Removals::new(newest)));
        Self(layers)
    }

    /// The layers, the oldest first.
    pub(crate) fn sorted(&self) -> &[Arc<Removals>] {
        &self.0
    }

    /// All removals, the oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Removal> {
        self.0.iter().flat_map(|it| it.all())
    }

    /// As [`Removals::newest`].
    pub(crate) fn newest(&self, key: &[u8], sequence: Sequence) -> Sequence {
        self.0.iter().map(|it| it.newest(key, sequence)).max().unwrap_or(0)
    }
}

/// Answers for keys that come in some order: who asks for a neighbour of the last key pays two
/// comparisons a layer instead of a search.
#[derive(Debug)]
pub(crate) struct Watch {
    sequence: Sequence,
    layers: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    removals: Arc<Removals>,
    stretch: Option<usize>,
    newest: Sequence,
}

impl Watch {
    /// Over all these, for a reader of this moment.
    pub(crate) fn new(layers: impl Iterator<Item = Arc<Removals>>, sequence: Sequence) -> Self {
        let layers = layers.filter(|it| !it.is_empty());
        // Below all there is none.
        let watched = |removals| Watched { removals, stretch: None, newest: 0 };
        Self { sequence, layers: layers.map(watched).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The number of the newest removal of a key that the reader sees; 0 where there is none.
    pub(crate) fn newest(&mut self, key: &[u8]) -> Sequence {
        let sequence = self.sequence;
        let newest = self.layers.iter_mut().map(|Watched { removals, stretch, newest }| {
            if !removals.is_in(key, *stretch) {
                *stretch = removals.stretch_of(key);
                *newest = removals.newest_in(*stretch, sequence);
            }
            *newest
        });
        newest.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn layers_and_a_watch_say_what_one_sorted_list_says(
            ranges in prop::collection::vec((0_u8..20, 0_u8..20), 0..40),
            keys in prop::collection::vec(0_u8..21, 0..40),
            moment in 0_u64..45,
        ) {
            let all: Vec<_> = (1..).zip(&ranges).map(|(sequence, it)| {
                Removal { start: vec![it.0], end: vec![it.1], sequence }
            }).collect();
            let layers = all.iter().cloned().fold(Layers::default(), |it, new| it.with(new));
            let sorted = Removals::new(all);
            prop_assert!(layers.all().eq(sorted.all()));
            let mut watch = Watch::new(layers.sorted().iter().cloned(), moment);
            for key in keys {
                let expected = sorted.newest(&[key], moment);
                prop_assert_eq!(layers.newest(&[key], moment), expected);
                prop_assert_eq!(watch.newest(&[key]), expected);
            }
        }
    }

    #[test]
    fn there_are_few_layers() {
        let removal = |sequence: Sequence| {
            let start = sequence.to_be_bytes().to_vec();
            Removal { end: [&start[..], &[0]].concat(), start, sequence }
        };
        let layers = (1..=5_000).map(removal).fold(Layers::default(), |it, new| it.with(new));
        assert!(layers.sorted().len() <= 13, "{} layers", layers.sorted().len());
        assert_eq!(layers.all().count(), 5_000);
    }
}
