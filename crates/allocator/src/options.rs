//! What can be chosen, once, before the first allocation.
//!
//! | option       | environment             | default | meaning                                        |
//! |--------------|-------------------------|---------|------------------------------------------------|
//! | `decay_ms`   | `STRATA_ALLOC_DECAY_MS` | 2000    | free memory goes back to the system after this |
//! | `huge_pages` | `STRATA_ALLOC_HUGE`     | 1       | ask for huge pages once the heap is dense      |
//! | `purger`     | `STRATA_ALLOC_PURGER`   | 1       | a thread does so while the process is idle     |
//! | `secure`     | `STRATA_ALLOC_SECURE`   | 1       | blocks are checked; with feature `secure` only |
//!
//! The environment wins over the builder. A value that is none is reported once and ignored.

/// Options of the allocator; a constant, so that a static can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub(crate) decay_ms: u64,
    pub(crate) huge_pages: bool,
    pub(crate) purger: bool,
    #[cfg(feature = "secure")]
    pub(crate) secure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            decay_ms: 2000,
            huge_pages: true,
            purger: true,
            #[cfg(feature = "secure")]
            secure: true,
        }
    }

    /// How long memory stays free before it goes back to the system, in milliseconds: purged after
    /// half of this at the earliest, and after all of it at the latest where anybody looks.
    #[must_use]
    pub const fn decay_ms(self, decay_ms: u64) -> Self {
        Self { decay_ms, ..self }
    }

    /// Whether huge pages are asked for once 16 MiB are in use.
    #[must_use]
    pub const fn huge_pages(self, huge_pages: bool) -> Self {
        Self { huge_pages, ..self }
    }

    /// Whether a thread gives memory back while the process is idle. It runs only while there is
    /// something to give back.
    #[must_use]
    pub const fn purger(self, purger: bool) -> Self {
        Self { purger, ..self }
    }

    /// Whether blocks are checked against misuse, which costs speed. A process that finds any ends
    /// with a message that names the block.
    #[cfg(feature = "secure")]
    #[must_use]
    pub const fn secure(self, secure: bool) -> Self {
        Self { secure, ..self }
    }
}
