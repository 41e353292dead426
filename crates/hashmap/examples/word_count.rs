//! Counts the words of its input with all processors, and shows the most frequent ones.
//!
//! ```text
//! cargo run --release -p hashmap --example word_count < ARCHITECTURE.md
//! ```
//!
//! Each thread takes a share of the lines and counts into one [`HashMap`]. A word that is there
//! already is looked up without an allocation, since a `String` key is found by a `&str`; its
//! counter is an atomic, which all threads share.

#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use hashmap::HashMap;

/// How many words are shown.
const SHOWN: usize = 10;

fn main() -> std::io::Result<()> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let counts = count(&text);

    let mut entries: Vec<(String, u64)> =
        counts.pin().iter().map(|(word, count)| (word.clone(), total(count))).collect();
    entries.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    for (word, count) in entries.iter().take(SHOWN) {
        println!("{count:>8}  {word}");
    }
    println!("{:>8}  different words", counts.len());
    Ok(())
}

type Counts = HashMap<String, AtomicU64>;

/// A count, after all threads have ended.
fn total(count: &AtomicU64) -> u64 {
    // Relaxed: ordered by the end of the threads.
    count.load(Ordering::Relaxed)
}

fn count(text: &str) -> Counts {
    let counts = HashMap::new();
    let lines: Vec<&str> = text.lines().collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        for lines in lines.chunks(share) {
            let counts = &counts;
            scope.spawn(move || count_lines(lines, counts));
        }
    });
    counts
}

fn count_lines(lines: &[&str], counts: &Counts) {
    // One pin for a line, so that a long text does not hold back what was replaced.
    for line in lines {
        let pinned = counts.pin();
        let words = line.split(|it: char| !it.is_alphanumeric()).filter(|word| !word.is_empty());
        for word in words {
            let count = match pinned.get(word) {
                Some(count) => count,
                // Another thread may be first: then this is its counter.
                None => pinned.get_or_insert_with(word.to_owned(), AtomicU64::default),
            };
            // Relaxed: a count.
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
