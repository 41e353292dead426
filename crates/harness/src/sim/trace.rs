//! What happened, in order: the text, a hash of it, and the counts of faults.
//!
//! All parts of one world write into one trace. The hash (FNV-1a over the bytes of the text) is
//! always kept; the text only where it was asked for, since thousands of runs are compared by hash
//! and one is read.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use env::clock::Timestamp;

use super::coverage::{Coverage, Fault};

/// The record of one run. Copies share it.
#[derive(Clone)]
pub struct Trace {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    hash: u64,
    lines: u64,
    /// All lines where `keeps_text`, else the last one.
    text: String,
    keeps_text: bool,
    coverage: Coverage,
}

impl Trace {
    /// A trace that keeps its hash and its counts.
    pub fn new() -> Self {
        let inner = Inner { hash: 0xCBF2_9CE4_8422_2325, ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Keeps the text from here on.
    pub fn keep_text(&self) {
        let mut inner = self.lock();
        inner.text.clear();
        inner.keeps_text = true;
    }

    /// Appends a line.
    pub fn note(&self, at: Timestamp, what: fmt::Arguments<'_>) {
        self.lock().note(at, what);
    }

    /// Counts a fault and appends a line that begins with its name.
    pub fn fault(&self, at: Timestamp, fault: Fault, what: fmt::Arguments<'_>) {
        let mut inner = self.lock();
        inner.coverage.add(fault);
        inner.note(at, format_args!("[{}] {what}", fault.name()));
    }

    /// The hash of all lines so far.
    pub fn hash(&self) -> u64 {
        self.lock().hash
    }

    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.lock().lines
    }

    /// The lines since [`Trace::keep_text`]; without it, the last line.
    pub fn text(&self) -> String {
        self.lock().text.clone()
    }

    /// How often each kind of fault has happened.
    pub fn coverage(&self) -> Coverage {
        self.lock().coverage.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }
}

impl Inner {
    fn note(&mut self, at: Timestamp, what: fmt::Arguments<'_>) {
        if !self.keeps_text {
            self.text.clear();
        }
        let start = self.text.len();
        writeln!(self.text, "{at} {what}").expect("a string takes all text");
        for byte in &self.text.as_bytes()[start..] {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        self.lines += 1;
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("Trace")
            .field("lines", &inner.lines)
            .field("hash", &format_args!("{:016x}", inner.hash))
            .finish_non_exhaustive()
    }
}
