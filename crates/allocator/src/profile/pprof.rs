//! The format of pprof: a message of protocol buffers, `perftools.profiles.Profile`.
//!
//! Only what the format needs is here: variable-length integers, and fields that are integers,
//! bytes, or messages. Strings are known by their number in a table.

use std::collections::HashMap;

use super::report::Profile;
use super::symbols::Symbols;

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7F).expect("seven bits") | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).expect("seven bits"));
    }

    /// A field that is an integer; zero is what a reader assumes.
    fn integer(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.varint(field << 3);
            self.varint(value);
        }
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn message(&mut self, field: u64, build: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        build(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// A list of integers.
    fn packed(&mut self, field: u64, values: impl IntoIterator<Item = u64>) {
        self.message(field, |list| values.into_iter().for_each(|value| list.varint(value)));
    }
}

/// The table of strings; the first one is empty.
struct Strings {
    numbers: HashMap<String, u64>,
    all: Vec<String>,
}

impl Strings {
    fn number(&mut self, text: &str) -> u64 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.all.len() as u64;
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

const TYPES: [(&str, &str); 4] = [
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
];

/// Encodes a profile.
pub(super) fn encode(profile: &Profile, symbols: &Symbols) -> Vec<u8> {
    let mut out = Message::default();
    let mut strings = Strings { numbers: HashMap::new(), all: Vec::new() };
    strings.number("");
    for (kind, unit) in TYPES {
        let (kind, unit) = (strings.number(kind), strings.number(unit));
        out.message(1, |value_type| {
            value_type.integer(1, kind);
            value_type.integer(2, unit);
        });
    }
    let mut locations: HashMap<usize, u64> = HashMap::new();
    for record in &profile.records {
        let frames = symbols.without_allocator(record.stack.frames());
        let ids = frames.iter().map(|frame| {
            let next = locations.len() as u64 + 1;
            *locations.entry(*frame).or_insert(next)
        });
        let ids: Vec<u64> = ids.collect();
        let (all, now) = (record.allocated, record.in_use);
        out.message(2, |sample| {
            sample.packed(1, ids);
            sample.packed(2, [all.blocks, all.bytes, now.blocks, now.bytes]);
        });
    }
    for (index, mapping) in symbols.mappings().iter().enumerate() {
        let file = strings.number(&mapping.path);
        out.message(3, |message| {
            message.integer(1, index as u64 + 1);
            message.integer(2, mapping.start as u64);
            message.integer(3, mapping.end as u64);
            message.integer(4, mapping.offset as u64);
            message.integer(5, file);
            message.integer(7, 1);
        });
    }
    places(&mut out, &mut strings, &locations, symbols);
    let (kind, unit) = (strings.number("space"), strings.number("bytes"));
    out.message(11, |period| {
        period.integer(1, kind);
        period.integer(2, unit);
    });
    out.integer(12, profile.rate as u64);
    out.integer(14, strings.number("inuse_space"));
    strings.all.iter().for_each(|text| out.bytes(6, text.as_bytes()));
    out.0
}

/// Locations, and the functions that they lie in.
fn places(
    out: &mut Message,
    strings: &mut Strings,
    locations: &HashMap<usize, u64>,
    symbols: &Symbols,
) {
    let mut functions: HashMap<&str, u64> = HashMap::new();
    for (address, id) in locations {
        let mapping = symbols.mapping_of(*address).map_or(0, |index| index as u64 + 1);
        let next = functions.len() as u64 + 1;
        let function = symbols.name(*address).map(|name| *functions.entry(name).or_insert(next));
        out.message(4, |location| {
            location.integer(1, *id);
            location.integer(2, mapping);
            location.integer(3, *address as u64);
            if let Some(function) = function {
                location.message(4, |line| line.integer(1, function));
            }
        });
    }
    for (name, id) in functions {
        let name = strings.number(name);
        out.message(5, |function| {
            function.integer(1, id);
            function.integer(2, name);
            function.integer(3, name);
        });
    }
}
