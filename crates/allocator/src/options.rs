//! What can be chosen, once, before the first allocation.
//!
//! | option         | environment                 | default | meaning                            |
//! |----------------|-----------------------------|---------|------------------------------------|
//! | `decay_ms`     | `STRATA_ALLOC_DECAY_MS`     | 2000    | free memory goes back after this   |
//! | `huge_pages`   | `STRATA_ALLOC_HUGE`         | 1       | ask for huge pages in a dense heap |
//! | `purger`       | `STRATA_ALLOC_PURGER`       | 1       | a thread gives back while idle     |
//! | `profile`      | `STRATA_ALLOC_PROFILE`      | none    | file for the heap profile, at exit |
//! | `profile_rate` | `STRATA_ALLOC_PROFILE_RATE` | 524288  | bytes from sample to sample        |
//! | `leaks`        | `STRATA_ALLOC_LEAKS`        | 0       | report at exit what is in use      |
//! | `secure`       | `STRATA_ALLOC_SECURE`       | 1       | check blocks; feature `secure`     |
//!
//! The environment wins over the builder. A value that is none is reported once and ignored.

/// Options of the allocator; a constant, so that a static can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch by itself")]
pub struct Options {
    pub(crate) decay_ms: u64,
    pub(crate) huge_pages: bool,
    pub(crate) purger: bool,
    pub(crate) profile: Option<&'static str>,
    pub(crate) profile_rate: usize,
    pub(crate) leaks: bool,
    pub(crate) secure: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The least distance between two samples.
    pub const PROFILE_RATE_MIN: usize = 4096;

    /// The defaults.
    pub const fn new() -> Self {
        Self {
            decay_ms: 2000,
            huge_pages: true,
            purger: true,
            profile: None,
            profile_rate: 512 << 10,
            leaks: false,
            secure: true,
        }
    }

    /// How long memory stays free before it goes back to the system, in milliseconds: purged after
    /// half of this at the earliest, and after all of it at the latest where anybody looks.
    #[must_use]
    pub const fn decay_ms(self, decay_ms: u64) -> Self {
        Self { decay_ms, ..self }
    }

    /// Whether huge pages are asked for once 8 MiB are in use, or more where there are
    /// many threads, and what was made last is used.
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

    /// Samples the heap, and writes the profile to this file when the process ends: as folded text
    /// where the name ends in `.folded`, else for `pprof`. `%p` in it stands for the number of the
    /// process; without it, a child of `fork` writes nothing. With an empty name, the profile is
    /// only there for [`Strata::profile`](crate::Strata::profile).
    #[must_use]
    pub const fn profile(self, path: &'static str) -> Self {
        Self { profile: Some(path), ..self }
    }

    /// How many bytes lie between two samples in the mean. Each sample costs a call stack, and a
    /// page of memory while its block is in use.
    ///
    /// # Panics
    ///
    /// Below [`PROFILE_RATE_MIN`](Self::PROFILE_RATE_MIN).
    #[must_use]
    pub const fn profile_rate(self, bytes: usize) -> Self {
        assert!(
            bytes >= Self::PROFILE_RATE_MIN,
            "a sample takes a page, and not for every few bytes"
        );
        Self { profile_rate: bytes, ..self }
    }

    /// Samples the heap, and reports to standard error when the process ends which call stacks
    /// allocated what is then still in use.
    #[must_use]
    pub const fn leaks(self, leaks: bool) -> Self {
        Self { leaks, ..self }
    }

    /// Whether blocks are checked against misuse, which costs speed. A process that finds any ends
    /// with a message that names the block.
    #[cfg(feature = "secure")]
    #[must_use]
    pub const fn secure(self, secure: bool) -> Self {
        Self { secure, ..self }
    }
}
