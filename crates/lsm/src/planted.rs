//! Bugs that tests put in, to see that they are found.
//!
//! A store that lies about a crash passes every test that never cuts the power. So the tests are
//! tested: each bug below is a step left out or done wrong at the place that asks for it by
//! `planted!`, and `db/tests/planted.rs` demands that a suite fails. Outside tests the macro is the
//! constant `false`, and the compiler removes what depends on it.

#[cfg(test)]
use std::cell::Cell;

/// A way to be wrong.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The names of new tables are not made durable.
    SkippedDirectorySync,
    /// The manifest names a table whose bytes are not durable.
    ManifestBeforeTable,
    /// The filter is made from other keys.
    FilterOfWrongKeys,
    /// A merge drops tombstones although something older lies beneath, or a snapshot looks.
    DroppedTombstone,
    /// After a recovery numbers are given out again.
    ReusedSequence,
    /// The log is given back before the table made from it is in the manifest.
    LogReleasedEarly,
    /// The manifest says that more of the log is in tables than is.
    FlushedTooFar,
    /// A removed range is forgotten while tables still hold keys of it.
    RemovalForgottenEarly,
    /// The log uses a segment again into which tables point.
    ValuesWrittenOver,
    /// The manifest names a table that points to values which are not durable.
    ValuesNotSynced,
    /// Ingested entries go below older ones that are in memory.
    IngestedBelow,
    /// A memtable is frozen while somebody may be writing into it.
    FrozenUnlocked,
    /// A flush takes its memtable away before it shows the table.
    SwappedInTwo,
    /// Readers may see the changes of a batch before all are made.
    VisibleEarly,
    /// A read does not see the last write.
    ReadBehind,
    /// An iterator walks backward past the newest version of a key.
    OldestVersionBackward,
    /// A put leaves the gap whole in which it puts its key.
    GapNotCut,
    /// Readers of moments before a gap jump it as well.
    GapForAll,
    /// What was walked is known although something may have been put there since.
    GapUnwatched,
    /// A sorted load leaves the gaps whole in which its keys are.
    GapLoaded,
}

#[cfg(test)]
thread_local! {
    static PRESENT: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether the bug was put into this thread's store.
#[cfg(test)]
pub(crate) fn is(bug: Bug) -> bool {
    PRESENT.get() == Some(bug)
}

/// Puts a bug in, or takes it out.
#[cfg(test)]
pub(crate) fn plant(bug: Option<Bug>) {
    PRESENT.set(bug);
}

/// Whether a bug was put in.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(test)]
        let is_planted = $crate::planted::is($crate::planted::Bug::$bug);
        #[cfg(not(test))]
        let is_planted = false;
        is_planted
    }};
}
pub(crate) use planted;
