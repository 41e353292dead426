//! A text of records is parsed into a tree, and the tree is dropped.
//!
//! Strings are copied into blocks of the contender, and each list and record has one that grows by
//! doubling, as in the usual crates. What is needed to walk the tree is kept by the system's
//! allocator, for all contenders alike: so no global allocator has to be switched, and nobody pays
//! for an indirection, but the part of the allocator in the whole is smaller than in a real parser.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::fmt::Write;
use std::marker::PhantomData;

use harness::contract::{Allocator, Unsupported};
use harness::duel::Subject;
use harness::rng::SplitMix64;
use harness::workload::Size;

use super::raw::Block;

struct Parsing<A> {
    text: String,
    allocator: PhantomData<fn() -> A>,
}

pub(super) fn parsing<A: Allocator>(size: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let records = if size == Size::Smoke { 10 } else { 2_000 };
    Ok(Box::new(Parsing::<A> { text: text(records), allocator: PhantomData }))
}

fn text(records: usize) -> String {
    let mut rng = SplitMix64::new(11);
    let mut text = String::from("[");
    for record in 0..records {
        let comma = if record == 0 { "" } else { "," };
        let name = "x".repeat(usize::try_from(3 + rng.below(40)).expect("small"));
        write!(text, "{comma}{{\"id\":{record},\"name\":\"{name}\",\"tags\":[").expect("a string");
        let tags = rng.below(8);
        (0..tags).for_each(|tag| {
            let comma = if tag == 0 { "" } else { "," };
            write!(text, "{comma}\"tag-{}\"", rng.below(1_000)).expect("a string");
        });
        text.push_str("]}");
    }
    text.push(']');
    text
}

/// A block for elements of 32 bytes that grows by doubling, beside what they are.
struct List {
    block: Option<Block>,
    values: Vec<Value>,
}

enum Value {
    Number,
    Text(Block),
    List(List),
}

const ELEMENT: usize = 32;

impl List {
    fn push<A: Allocator>(&mut self, value: Value) {
        let wanted = (self.values.len() + 1) * ELEMENT;
        self.block = Some(match self.block {
            None => Block::new::<A>(4 * ELEMENT, 8),
            Some(block) if block.size() < wanted => block.grown::<A>(block.size() * 2),
            Some(block) => block,
        });
        self.values.push(value);
    }
}

impl Value {
    fn drop_all<A: Allocator>(self) {
        match self {
            Self::Number => {}
            Self::Text(block) => block.free::<A>(),
            Self::List(list) => {
                list.values.into_iter().for_each(Self::drop_all::<A>);
                if let Some(block) = list.block {
                    block.free::<A>();
                }
            }
        }
    }
}

/// Parses what `text` writes. Records are lists of names and values in turn.
fn parse<A: Allocator>(bytes: &[u8], at: &mut usize, count: &mut u64) -> Value {
    *count += 1;
    match bytes[*at] {
        b'[' | b'{' => {
            let mut list = List { block: None, values: Vec::new() };
            *at += 1;
            while !matches!(bytes[*at], b']' | b'}') {
                if matches!(bytes[*at], b',' | b':') {
                    *at += 1;
                }
                list.push::<A>(parse::<A>(bytes, at, count));
            }
            *at += 1;
            Value::List(list)
        }
        b'"' => {
            let start = *at + 1;
            let length = bytes[start..].iter().position(|it| *it == b'"').expect("a closed text");
            *at = start + length + 1;
            let block = Block::new::<A>(length.max(1), 1);
            block.write(0, &bytes[start..start + length]);
            Value::Text(block)
        }
        _ => {
            let digits = bytes[*at..].iter().take_while(|it| it.is_ascii_digit()).count();
            *at += digits;
            Value::Number
        }
    }
}

impl<A: Allocator> Subject for Parsing<A> {
    /// A text counts as 64 operations.
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut count = 0;
        for _ in 0..operations.div_ceil(64) {
            parse::<A>(self.text.as_bytes(), &mut 0, &mut count).drop_all::<A>();
        }
        count
    }
}
