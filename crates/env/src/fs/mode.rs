//! How a file is opened.

/// How a file is opened.
///
/// ```
/// use env::fs::{Intent, OpenMode};
///
/// assert_eq!(OpenMode::READ.intent, Intent::Read);
/// assert!(OpenMode::OPEN_OR_CREATE.direct().direct);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenMode {
    /// What it is opened for.
    pub intent: Intent,
    /// Whether reads and writes go around the page cache (`O_DIRECT`). Buffer, offset and length
    /// must then be multiples of the device's block (at most 4,096 bytes), or the call fails with
    /// [`InvalidInput`](super::FsErrorKind::InvalidInput). Some file systems refuse it at `open`.
    pub direct: bool,
}

/// What a file is opened for. All but [`Intent::Read`] may read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Reading; it must exist.
    Read,
    /// Writing anywhere; it must exist.
    Write,
    /// Writing anywhere; it must not exist.
    CreateNew,
    /// Writing anywhere; it is created where it is missing and kept where it is not.
    OpenOrCreate,
    /// Writing anywhere; it is created where it is missing and emptied where it is not.
    Truncate,
    /// Writing at the end only; it is created where it is missing.
    Append,
}

impl OpenMode {
    /// See [`Intent::Read`].
    pub const READ: Self = Self::new(Intent::Read);
    /// See [`Intent::Write`].
    pub const WRITE: Self = Self::new(Intent::Write);
    /// See [`Intent::CreateNew`].
    pub const CREATE_NEW: Self = Self::new(Intent::CreateNew);
    /// See [`Intent::OpenOrCreate`].
    pub const OPEN_OR_CREATE: Self = Self::new(Intent::OpenOrCreate);
    /// See [`Intent::Truncate`].
    pub const TRUNCATE: Self = Self::new(Intent::Truncate);
    /// See [`Intent::Append`].
    pub const APPEND: Self = Self::new(Intent::Append);

    const fn new(intent: Intent) -> Self {
        Self { intent, direct: false }
    }

    /// The same, around the page cache.
    #[must_use]
    pub const fn direct(self) -> Self {
        Self { direct: true, ..self }
    }
}
