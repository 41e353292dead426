//! The gate before a learner's line: what is measured was judged first.
//!
//! A stamp is a number for a source. The learner's command line writes the stamp of a source that
//! passed all suites to a file; a comparison has the line `yours` where that file holds the stamp
//! of the very source that was compiled into it. So a change takes the line away until it has been
//! judged again.
//!
//! # What this module does not do
//!
//! It keeps out mistakes, not cheats: whoever writes the file by hand measures what they like.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use env::fs::{Fs, FsError, FsExt, OsFs};

/// The folder of everything that is remembered about a learner, from the root of the repository.
pub const FOLDER: &str = ".study";

/// A number for a source.
pub fn stamp(source: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(source.as_bytes());
    hasher.finish()
}

fn file(root: &Path, build: &str) -> PathBuf {
    root.join(FOLDER).join(format!("yours-{build}"))
}

/// Lets a source of a build through: it passed.
pub fn open(root: &Path, build: &str, source: &str) -> Result<(), FsError> {
    OsFs.create_dir_all(&root.join(FOLDER))?;
    OsFs.write_atomic(&file(root, build), stamp(source).to_string().as_bytes())
}

/// Lets nothing of a build through.
pub fn close(root: &Path, build: &str) -> Result<(), FsError> {
    let file = file(root, build);
    if OsFs.exists(&file)? { OsFs.remove_file(&file) } else { Ok(()) }
}

/// Whether this source of a build was let through.
pub fn is_open(root: &Path, build: &str, source: &str) -> bool {
    let kept = OsFs.read_to_string(&file(root, build));
    kept.is_ok_and(|kept| kept == stamp(source).to_string())
}

#[cfg(test)]
mod tests {
    use super::{close, is_open, open};

    #[test]
    fn only_what_was_judged_passes() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path();
        assert!(!is_open(root, "x", "fn a() {}"), "nothing was judged");
        open(root, "x", "fn a() {}").expect("it can be written");
        assert!(is_open(root, "x", "fn a() {}"));
        assert!(!is_open(root, "x", "fn a() { }"), "it was changed");
        assert!(!is_open(root, "y", "fn a() {}"), "it is of another build");
        close(root, "x").expect("it can be removed");
        close(root, "x").expect("twice");
        assert!(!is_open(root, "x", "fn a() {}"));
    }
}
