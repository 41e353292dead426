//! The weight of the program itself, which a child throws off before its line begins.
//!
//! A child is this whole program once more, with every contender of every line in it: while it
//! starts and finds its line, megabytes of its files become resident that the line never looks at.
//! Beside them the weight of most subjects could not be seen, and the ratio of two peaks would say
//! how large the program is. So a child, whoever is measured in it, does two things before its
//! first subject is made:
//!
//! - it gives back the pages of files that it maps for reading only and has not changed: what is
//!   needed again comes back from the system's cache at the next touch, and counts again;
//! - it has the system begin its peak anew, at what is left.
//!
//! What stays is what the start itself wrote: relocated tables, the stack, the heap of the harness.
//!
//! # What this module does not do
//!
//! It fails quietly: where the system knows none of this, the program weighs what it weighs.

#![expect(unsafe_code, reason = "pages are given back by address, which rustix cannot check")]

use std::ffi::c_void;
use std::ops::Range;
use std::path::Path;

use env::fs::{Fs, FsExt, OpenMode, OsFs};
use rustix::mm::{Advice, madvise};

/// What makes the kernel forget the peak: see `proc_pid_clear_refs(5)`.
const FORGET_PEAK: &[u8] = b"5";

/// Throws off what this process need not weigh: see the module's header. For a process that has no
/// second thread yet.
pub(super) fn shed() {
    let maps = OsFs.read_to_string(Path::new("/proc/self/smaps")).unwrap_or_default();
    for range in disposable(&maps) {
        let start = std::ptr::with_exposed_provenance_mut::<c_void>(range.start);
        // SAFETY: the mapping is a file's, nobody can write to it, and no page of it differs from
        // the file: what is read there next is what was there before. No other thread has mapped
        // something else there since it was looked up.
        let _kept = unsafe { madvise(start, range.len(), Advice::LinuxDontNeed) };
    }
    let peak = OsFs.open(Path::new("/proc/self/clear_refs"), OpenMode::WRITE);
    let _kept = peak.and_then(|file| file.write_at(FORGET_PEAK, 0));
}

/// The mappings, of a text in the format of `/proc/self/smaps`, whose pages are all as in a file.
fn disposable(maps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let amount = words.next().unwrap_or_default();
        match first {
            // What the process wrote to, when it still could.
            "Anonymous:" | "Private_Dirty:" | "Shared_Dirty:" | "Swap:" if amount != "0" => {
                candidate = None;
            }
            // The last line of a mapping.
            "VmFlags:" => found.extend(candidate.take()),
            _ if first.ends_with(':') => {}
            _ => {
                let is_read_only = amount.starts_with("r-");
                // Offset, device and inode come before the path.
                let is_of_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
                candidate = range(first).filter(|_| is_read_only && is_of_file);
            }
        }
    }
    found
}

/// `5581-5592` in hexadecimal digits.
fn range(text: &str) -> Option<Range<usize>> {
    let (start, end) = text.split_once('-')?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    Some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests;
