//! How a store is laid out and run.

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use env::clock::{SystemWallClock, WallClock};
pub use wal::Backend;

use crate::table::Codec;
use crate::{Error, MergeOperator, Result};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// The end of the process, however it ends (`kill -9`). After a loss of power the store is what
    /// it was at some earlier moment: the last writes may be missing, never one in the middle.
    #[default]
    Os,
    /// A loss of power as well. Writers that wait at the same time share one sync.
    Sync,
}

/// Who writes memtables out and merges tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Background {
    /// Two threads of the store.
    #[default]
    Threads,
    /// The thread whose write makes it necessary. For simulations: nothing happens by itself.
    Inline,
}

/// How tables are kept in order below the memtable: what is paid where.
///
/// May be another one each time a store is opened; merges bring it into shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Each level is one sorted run and [`Options::level_ratio`] times as large as the one above.
    /// Least space, fewest places to look; each level writes an entry about half that ratio times.
    #[default]
    Leveled,
    /// Each level collects so many runs, which then become one of the next level. An entry is
    /// written once a level. Reads ask every run, and space may be several times that of the data.
    Tiered {
        /// Runs of a level below the first, two or more; for that one [`Options::level0_tables`]
        /// counts.
        runs: NonZeroUsize,
    },
    /// Tiered, but for the lowest level, which is one run: space and scans nearly as leveled,
    /// writes nearly as tiered (Dayan, Idreos, "Dostoevsky", SIGMOD 2018).
    LazyLeveled {
        /// Runs of a level between the first and the lowest, two or more.
        runs: NonZeroUsize,
    },
    /// Nothing is merged; **what is oldest is removed** when it is too much or too old. What was
    /// overwritten or removed keeps its space until then.
    Fifo {
        /// So many bytes of tables there are at most, to a memtable.
        size: u64,
        /// What was written out so long ago is removed when a memtable is next.
        age: Option<Duration>,
    },
}

/// How a store is laid out and run. All sizes are in bytes.
///
/// ```
/// use lsm::{Durability, Options};
///
/// let options = Options { durability: Durability::Sync, ..Options::with_budget(64 << 20) };
/// assert!(options.check().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether a store is made where there is none.
    pub create: bool,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// A memtable of this size is written out as a table. Each family has memtables of its own: up
    /// to [`Options::memtables`] of them are in memory at a time; but for one, which takes writes,
    /// they have their room from the cache.
    ///
    /// A batch, and so a value, must fit into a segment of the log, or it is refused
    /// ([`Error::TooLarge`]). A segment is as long as a memtable, and where that is less than 4 MiB
    /// four times as long, up to these 4 MiB; never below 16 KiB. A batch that is larger than a
    /// memtable gets one that is as large as it is.
    pub memtable_size: usize,
    /// How many memtables a family may have: one that takes writes, the rest on their way to the
    /// disk.
    pub memtables: NonZeroUsize,
    /// Memory for cached blocks and values, for filters and indexes, for the trees of memtables,
    /// and for memtables on their way to the disk. With one memtable for each family that is all
    /// that grows: what the cache lets go the system has back. A process stays within a tenth more
    /// than both where values have kilobytes, and within a quarter and 6 MiB where entries have a
    /// hundred bytes: merges need memory for each key, and an allocator keeps some of it. An
    /// iterator that waits keeps for each table it looks at a slab of the cache, a 512th of this
    /// and 64 KiB to 1 MiB.
    pub cache_size: usize,
    /// About the size of a block before compression: what one read of the disk brings.
    pub block_size: usize,
    /// Bits of filter for each key at the lowest level; levels above get more, since a filter saves
    /// more there the fewer keys it is for (Dayan, Athanassoulis, Idreos, "Monkey", SIGMOD 2017).
    pub bits_per_key: usize,
    /// Filters answer for the first so many bytes of keys, too, so that a walk through keys which
    /// all begin alike passes by the tables that have none: [`Db::prefix`](crate::Db::prefix), or
    /// any range whose ends have so many bytes in common. For keys such as `user/7/...` the
    /// length of `user/7/`.
    pub prefix_len: Option<NonZeroU16>,
    /// How blocks below the first two levels are compressed.
    pub codec: Codec,
    /// The same for the lowest level, which holds most and is rewritten least, if that is another.
    pub codec_lowest: Option<Codec>,
    /// How tables are kept in order.
    pub shape: Shape,
    /// So many tables in the first level are merged into the second.
    pub level0_tables: usize,
    /// The size of the second level.
    pub level1_size: u64,
    /// How many times larger each further level is.
    pub level_ratio: u64,
    /// A merge begins a new table at this size.
    pub table_size: u64,
    /// So many threads share a merge that is large enough. More than one is of use where writers
    /// wait for merges and there are cores to spare.
    pub merge_threads: NonZeroUsize,
    /// Whether merges write past the page cache, where the file system can: it keeps what is read,
    /// and what was merged is read from the disk first.
    pub direct_writes: bool,
    /// Values of this size and more are kept apart from their keys: they are written once, into
    /// the log, and merges move pointers. Good for values of a kilobyte and more that are seldom
    /// scanned; one that is not in the cache costs a read of its own. `None` keeps all together.
    pub value_threshold: Option<usize>,
    /// So many in a hundred bytes of the files with values may be garbage; above it merges copy
    /// what lives, and ten above it writers wait for them. Garbage is what no table points to: an
    /// overwritten value that a snapshot may read is none, so that while one is held there is no
    /// limit but what is written meanwhile. When it has gone the next merges of the old versions
    /// make garbage of their values, or [`Db::compact`](crate::Db::compact) does at once.
    pub value_garbage_percent: u64,
    /// What operands do to values; see [`Db::merge`](crate::Db::merge). One for all families: it
    /// can tell keys apart.
    pub merge_operator: Option<Arc<dyn MergeOperator>>,
    /// Tells when values that are for some time are over.
    pub clock: Arc<dyn WallClock>,
    /// How the log is written.
    pub log: Backend,
    /// Who does the work behind the writes.
    pub background: Background,
}

impl Default for Options {
    fn default() -> Self {
        Self::with_budget(320 << 20)
    }
}

impl Options {
    /// Options for so many bytes of memory, memtables and cache together, in a store of one family.
    /// Each further one that is written adds a memtable: a fifth of this, 64 MiB at most.
    pub fn with_budget(bytes: usize) -> Self {
        let memtable_size = (bytes / 5).clamp(64 << 10, 64 << 20);
        let memtables = NonZeroUsize::new(2).expect("two are not none");
        Self {
            create: true,
            durability: Durability::Os,
            memtable_size,
            memtables,
            cache_size: bytes.saturating_sub(memtable_size),
            block_size: 4 << 10,
            bits_per_key: 10,
            prefix_len: None,
            codec: Codec::None,
            codec_lowest: None,
            shape: Shape::Leveled,
            level0_tables: 4,
            level1_size: 4 * memtable_size as u64,
            level_ratio: 10,
            table_size: memtable_size as u64,
            merge_threads: NonZeroUsize::MIN,
            direct_writes: false,
            value_threshold: None,
            value_garbage_percent: 30,
            merge_operator: None,
            clock: Arc::new(SystemWallClock),
            log: Backend::Mapped,
            background: Background::Threads,
        }
    }

    /// Whether all values make sense.
    pub fn check(&self) -> Result<()> {
        let runs = match self.shape {
            Shape::Tiered { runs } | Shape::LazyLeveled { runs } => runs.get() as u64,
            Shape::Leveled | Shape::Fifo { .. } => 2,
        };
        let rules = [
            ("runs", runs, 2, 1_000),
            ("merge_threads", self.merge_threads.get() as u64, 1, 256),
            ("memtable_size", self.memtable_size as u64, 4 << 10, 1 << 31),
            ("memtables", self.memtables.get() as u64, 2, 64),
            ("block_size", self.block_size as u64, 64, 16 << 20),
            ("bits_per_key", self.bits_per_key as u64, 0, 64),
            ("level0_tables", self.level0_tables as u64, 1, 1_000),
            ("level1_size", self.level1_size, 1, u64::MAX),
            ("level_ratio", self.level_ratio, 2, 1_000),
            ("table_size", self.table_size, 1 << 10, 1 << 40),
            ("value_threshold", self.value_threshold.unwrap_or(1 << 10) as u64, 32, 1 << 30),
            ("value_garbage_percent", self.value_garbage_percent, 5, 95),
        ];
        [Some(self.codec), self.codec_lowest].into_iter().flatten().try_for_each(Codec::check)?;
        for (option, value, min, max) in rules {
            if value < min {
                let rule = "larger; see its documentation";
                return Err(Error::Option { option, value, rule });
            }
            if value > max {
                let rule = "smaller; see its documentation";
                return Err(Error::Option { option, value, rule });
            }
        }
        Ok(())
    }

    /// The length of a log segment: a memtable's changes fit into about one, and where memtables
    /// are small there is room for a larger batch.
    pub(crate) fn segment_len(&self) -> u32 {
        let for_batches = self.memtable_size.saturating_mul(4).min(4 << 20);
        let len = self.memtable_size.max(for_batches).clamp(16 << 10, 1 << 31);
        u32::try_from(len).expect("two gigabytes at most")
    }

    /// The same for the manifest. An edit that names all tables takes some hundred bytes for each;
    /// one that takes more gets a segment of its own.
    pub(crate) fn manifest_segment_len(&self) -> u32 {
        let len = (self.memtable_size * 2).clamp(64 << 10, 16 << 20);
        u32::try_from(len).expect("sixteen megabytes at most")
    }
}
