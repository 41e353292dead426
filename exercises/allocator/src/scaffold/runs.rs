//! Which spans of an arena are free.

use std::collections::BTreeMap;
use std::ops::Range;

/// Free spans, in runs that do not touch: where each begins and how long it is.
#[derive(Clone, Debug, Default)]
pub struct Runs(BTreeMap<usize, usize>);

impl Runs {
    /// Spans that are all free.
    pub fn new(spans: usize) -> Self {
        Self(BTreeMap::from([(0, spans)]))
    }

    /// Takes `count` spans in a row, the first of them a multiple of `align`: the first place that
    /// fits. `None` where there is none.
    pub fn take(&mut self, count: usize, align: usize) -> Option<usize> {
        let place = |(&first, &free): (&usize, &usize)| {
            let start = first.next_multiple_of(align);
            (start + count <= first + free).then_some(start)
        };
        let start = self.0.iter().find_map(place)?;
        self.take_at(start, count).then_some(start)
    }

    /// Takes these `count` spans, if all of them are free; whether they were.
    pub fn take_at(&mut self, start: usize, count: usize) -> bool {
        let run = self.0.range(..=start).next_back().map(|(&first, &free)| (first, first + free));
        let Some((first, end)) = run.filter(|(_, end)| start + count <= *end) else {
            return false;
        };
        self.0.remove(&first);
        self.put(first..start);
        self.put(start + count..end);
        true
    }

    /// Gives spans back that were taken. Neighbours become one run.
    pub fn give(&mut self, start: usize, count: usize) {
        let mut run = start..start + count;
        if let Some(more) = self.0.remove(&run.end) {
            run.end += more;
        }
        if let Some((&first, &free)) = self.0.range(..start).next_back()
            && first + free == start
        {
            self.0.remove(&first);
            run.start = first;
        }
        self.put(run);
    }

    /// Each free span.
    pub fn free(&self) -> impl Iterator<Item = usize> {
        self.0.iter().flat_map(|(&first, &free)| first..first + free)
    }

    fn put(&mut self, run: Range<usize>) {
        if !run.is_empty() {
            self.0.insert(run.start, run.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Runs;

    #[test]
    fn neighbours_become_one_run() {
        let mut runs = Runs::new(16);
        assert_eq!((runs.take(3, 1), runs.take(2, 4), runs.take(11, 1)), (Some(0), Some(4), None));
        assert_eq!(runs.free().collect::<Vec<_>>(), [vec![3], (6..16).collect()].concat());
        assert!(!runs.take_at(3, 2) && !runs.take_at(15, 2) && runs.take_at(15, 1));
        runs.give(15, 1);
        runs.give(0, 3);
        runs.give(4, 2);
        assert_eq!(runs.take(16, 16), Some(0));
    }
}
