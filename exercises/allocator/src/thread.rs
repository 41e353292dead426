//! A small number for each thread that runs: no two have the same one at a time.
//!
//! A thread that ends leaves its number, and with it whatever the heap keeps under it, to the next
//! thread that begins. That settles what becomes of the memory of a thread that has ended.

use std::sync::{Mutex, PoisonError};

/// How many threads may use a heap at once.
pub const THREADS: usize = if cfg!(shuttle) { 4 } else { 64 };

/// The numbers that nobody has.
static FREE: Mutex<Option<Vec<usize>>> = Mutex::new(None);

struct Number(usize);

impl Number {
    fn take() -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let free = free.get_or_insert_with(|| (0..THREADS).rev().collect());
        Self(free.pop().expect("there are at most `THREADS` threads"))
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.as_mut().expect("this number was taken from it").push(self.0);
    }
}

thread_local! {
    static MINE: Number = Number::take();
}

/// The number of the calling thread.
#[inline]
pub fn number() -> usize {
    MINE.with(|mine| mine.0)
}
