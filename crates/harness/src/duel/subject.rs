//! What takes part in a duel.

use crate::contract::Unsupported;

/// One contender at work on one line, shared by the threads of a round.
pub trait Subject: Sync {
    /// Performs `operations` operations as thread `thread` of round `round`, and returns a number
    /// that is equal for every contender that did the same work.
    ///
    /// Monomorphic inside: one virtual call pays for thousands of operations.
    fn run(&self, thread: usize, round: u64, operations: u64) -> u64;
}

/// A contender of a line: what to call it, and how to make its subject.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// Package name, with a suffix for a variant.
    pub name: &'static str,
    /// Version of its package.
    pub version: &'static str,
    /// Whether it is ours: the one that ratios are formed for.
    pub ours: bool,
    /// Makes a fresh subject. Its fingerprints must not depend on chance.
    pub make: fn() -> Result<Box<dyn Subject>, Unsupported>,
}

/// One line of a comparison: contenders that do the same work.
#[derive(Clone, Debug)]
pub struct Line {
    /// Folder name of the build.
    pub build: &'static str,
    /// Path whose first part is the family.
    pub workload: &'static str,
    /// Threads that work at once.
    pub threads: usize,
    /// Who takes part.
    pub contenders: Vec<Contender>,
}
