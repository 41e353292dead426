//! A snapshot of the profile, and the forms that it is handed out in.

#![expect(unsafe_code, reason = "files are written by system calls, as the process ends")]

use std::collections::BTreeMap;
use std::fmt::Write;

use super::stacks::Record;
use super::symbols::Symbols;
use super::{STACKS, pprof, rate};

/// What was sampled until now: estimates of what each call stack allocated and still holds.
///
/// ```
/// // Empty unless the options or the environment ask for a profile.
/// let allocator = allocator::Strata::new();
/// assert!(allocator.profile().is_none());
/// ```
#[derive(Debug)]
pub struct Profile {
    pub(super) records: Vec<Record>,
    pub(super) rate: usize,
}

/// Stacks of a leak report.
const LEAKS: usize = 20;

impl Profile {
    /// `None` while nothing is sampled.
    pub(crate) fn take() -> Option<Self> {
        let rate = rate()?;
        // Room is made before the lock is taken: what allocates under it may want to be sampled.
        let mut records = Vec::new();
        loop {
            let needed = STACKS.with(|stacks| {
                let all = stacks.records();
                if records.capacity() < all.len() {
                    return all.len() * 2;
                }
                records.extend(all.iter().filter(|it| it.allocated.blocks > 0));
                0
            });
            if needed == 0 {
                return Some(Self { records, rate });
            }
            records.reserve(needed);
        }
    }

    /// Mean distance between two samples, in bytes.
    pub fn rate(&self) -> usize {
        self.rate
    }

    /// Bytes in use, all stacks together: an estimate.
    pub fn in_use(&self) -> u64 {
        self.records.iter().map(|record| record.in_use.bytes).sum()
    }

    /// Bytes that were ever allocated, all stacks together: an estimate.
    pub fn allocated(&self) -> u64 {
        self.records.iter().map(|record| record.allocated.bytes).sum()
    }

    fn symbols(&self) -> Symbols {
        Symbols::of_frames(self.records.iter().flat_map(|it| it.stack.frames().iter().copied()))
    }

    /// The profile for `pprof`, not compressed: objects and bytes, allocated and in use.
    pub fn pprof(&self) -> Vec<u8> {
        pprof::encode(self, &self.symbols())
    }

    /// Bytes in use as text, a line for each stack, outermost function first: what the tools that
    /// draw flame graphs read. Names are as the linker knows them.
    pub fn folded(&self) -> String {
        let symbols = self.symbols();
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.in_use.bytes > 0) {
            let frames = symbols.without_allocator(record.stack.frames());
            let names: Vec<String> = frames.iter().rev().map(|it| symbols.label(*it)).collect();
            *lines.entry(names.join(";")).or_default() += record.in_use.bytes;
        }
        lines.iter().fold(String::new(), |mut text, (stack, bytes)| {
            let _never = writeln!(text, "{stack} {bytes}");
            text
        })
    }

    /// What is in use now, largest first: at the end of a process, what it never freed.
    pub fn leaks(&self) -> String {
        let symbols = self.symbols();
        let mut records: Vec<&Record> =
            self.records.iter().filter(|record| record.in_use.bytes > 0).collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.in_use.bytes));
        let mut text = format!(
            "strata: about {} bytes in use from {} places (one sample in {} bytes)\n",
            self.in_use(),
            records.len(),
            self.rate
        );
        for record in records.iter().take(LEAKS) {
            let (blocks, bytes) = (record.in_use.blocks, record.in_use.bytes);
            let _never = writeln!(text, "{bytes} bytes in {blocks} blocks, allocated at");
            for frame in symbols.without_allocator(record.stack.frames()) {
                let _never = writeln!(text, "    {}", symbols.label(*frame));
            }
        }
        text
    }
}

/// Writes text to standard error.
pub(super) fn print(text: &str) {
    write_all(2, text.as_bytes());
}

/// Writes the profile to a file: as text where the name ends in `.folded`, else for `pprof`. `%p`
/// in the name stands for the number of the process.
pub(super) fn write(profile: &Profile, path: &[u8]) {
    let path = String::from_utf8_lossy(path).replace("%p", &std::process::id().to_string());
    let contents = if std::path::Path::new(&path).extension().is_some_and(|it| it == "folded") {
        profile.folded().into_bytes()
    } else {
        profile.pprof()
    };
    let mut name = path.clone().into_bytes();
    name.push(0);
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: the name ends with a zero.
    let file = unsafe { libc::open(name.as_ptr().cast(), flags, 0o644) };
    if file < 0 || !write_all(file, &contents) {
        crate::abort::say(format_args!("the heap profile cannot be written to {path}"));
    }
    // SAFETY: it was opened above, or is none.
    unsafe { libc::close(file) };
}

fn write_all(file: i32, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the bytes are ours.
        let written = unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
        let Ok(written) = usize::try_from(written) else { return false };
        bytes = &bytes[written..];
    }
    true
}
