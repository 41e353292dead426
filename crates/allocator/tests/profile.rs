//! The heap profile of whole programs, each in a process of its own: what it says of known amounts,
//! and that its file can be decoded.

#![cfg(not(feature = "secure"))]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Output};

use env::fs::{FsExt, OsFs};

#[global_allocator]
static ALLOCATOR: allocator::Strata = allocator::Strata::new();

/// The environment variable that names the scene.
const SCENE: &str = "STRATA_TEST_SCENE";

const MIB: usize = 1 << 20;
/// What the scenes keep, and what they drop.
const KEPT: usize = 48 * MIB;
const DROPPED: usize = 32 * MIB;

fn blocks(bytes: usize) -> Vec<Vec<u8>> {
    let sizes = [24, 100, 1_000, 9_000, 70_000].into_iter().cycle();
    let mut sum = 0;
    let take = |size: &usize| {
        sum += size;
        sum < bytes
    };
    sizes.take_while(take).map(|size| black_box(vec![1; size])).collect()
}

#[inline(never)]
fn keep_these_blocks() -> Vec<Vec<u8>> {
    black_box(blocks(KEPT))
}

#[inline(never)]
fn drop_these_blocks() {
    drop(black_box(blocks(DROPPED)));
}

/// Blocks that grow, and that another thread frees.
#[inline(never)]
fn hand_these_blocks_over() {
    let grow = |mut block: Vec<u8>| {
        block.resize(block.len() * 3, 2);
        block
    };
    let grown: Vec<Vec<u8>> = blocks(DROPPED).into_iter().map(grow).collect();
    std::thread::spawn(move || drop(black_box(grown))).join().expect("it does not panic");
}

/// The child's part: what is kept is kept to the end.
#[test]
fn scene() {
    if std::env::var(SCENE).is_ok() {
        drop_these_blocks();
        hand_these_blocks_over();
        Box::leak(Box::new(keep_these_blocks()));
    }
}

fn in_child(variables: &[(&str, &str)]) -> Output {
    let program = std::env::current_exe().expect("this program has a path");
    let arguments = ["--exact", "scene", "--nocapture", "--test-threads=1"];
    let mut command = Command::new(program);
    command.args(arguments).env(SCENE, "").env("STRATA_ALLOC_PROFILE_RATE", "65536");
    let output = command.envs(variables.iter().copied()).output().expect("it can be run again");
    assert!(output.status.success(), "{output:?}");
    output
}

/// Runs the scene with a profile that goes to a file of this name.
fn file_of_child(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join(name);
    let output = in_child(&[("STRATA_ALLOC_PROFILE", path.to_str().expect("it is text"))]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("strata:"), "{output:?}");
    OsFs.read(Path::new(&path)).expect("it was written")
}

fn is_about(estimate: u64, known: usize) -> bool {
    // Hundreds of samples: five standard deviations are less than a fifth.
    let known = known as u64;
    (known * 4 / 5..known * 6 / 5).contains(&estimate)
}

/// A field of a message: an integer, or bytes.
#[derive(Debug)]
enum Value<'a> {
    Integer(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (first, rest) = bytes.split_first().expect("a number goes on");
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Integer(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("it fits");
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            kind => panic!("{kind} is no kind of field that is written"),
        };
        all.push((key >> 3, value));
    }
    all
}

fn messages<'a>(all: &[(u64, Value<'a>)], field: u64) -> Vec<Vec<(u64, Value<'a>)>> {
    let of_field = all.iter().filter(|(number, _)| *number == field);
    of_field.map(|(_, value)| fields(bytes_of(value))).collect()
}

fn bytes_of<'a>(value: &Value<'a>) -> &'a [u8] {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Integer(number) => panic!("{number} where bytes were expected"),
    }
}

fn integer(all: &[(u64, Value<'_>)], field: u64) -> u64 {
    let found = all.iter().find(|(number, _)| *number == field);
    found.map_or(0, |(_, value)| match value {
        Value::Integer(number) => *number,
        Value::Bytes(bytes) => panic!("{bytes:?} where a number was expected"),
    })
}

fn packed(all: &[(u64, Value<'_>)], field: u64) -> Vec<u64> {
    let found = all.iter().find(|(number, _)| *number == field);
    let mut bytes = found.map_or(&[][..], |(_, value)| bytes_of(value));
    std::iter::from_fn(|| (!bytes.is_empty()).then(|| varint(&mut bytes))).collect()
}

#[test]
fn the_file_for_pprof_holds_what_was_allocated_where() {
    let file = file_of_child("heap.pb");
    let profile = fields(&file);
    let is_string = |(field, value): &(u64, Value<'_>)| (*field == 6).then(|| text(value));
    let strings: Vec<String> = profile.iter().filter_map(is_string).collect();
    let string = |number: u64| &strings[usize::try_from(number).expect("it fits")];

    let types = messages(&profile, 1);
    let types: Vec<_> =
        types.iter().map(|it| (string(integer(it, 1)), string(integer(it, 2)))).collect();
    assert_eq!(types[1].0, "alloc_space");
    assert_eq!((types[3].0.as_str(), types[3].1.as_str()), ("inuse_space", "bytes"));
    assert_eq!(integer(&profile, 12), 65_536, "the period is the rate");

    let functions: BTreeMap<u64, &String> = messages(&profile, 5)
        .iter()
        .map(|function| (integer(function, 1), string(integer(function, 2))))
        .collect();
    let locations: BTreeMap<u64, Option<&String>> = messages(&profile, 4)
        .iter()
        .map(|location| {
            let line = messages(location, 4).pop();
            let function = line.map(|line| functions[&integer(&line, 1)]);
            (integer(location, 1), function)
        })
        .collect();
    let sum = |function: &str, value: usize| -> u64 {
        let is_in = |id: &u64| locations[id].is_some_and(|name| name.contains(function));
        let samples = messages(&profile, 2);
        let of_function = samples.iter().filter(|sample| packed(sample, 1).iter().any(is_in));
        of_function.map(|sample| packed(sample, 2)[value]).sum()
    };
    assert!(is_about(sum("keep_these_blocks", 1), KEPT), "{}", sum("keep_these_blocks", 1));
    assert!(is_about(sum("keep_these_blocks", 3), KEPT), "{}", sum("keep_these_blocks", 3));
    assert!(is_about(sum("drop_these_blocks", 1), DROPPED), "{}", sum("drop_these_blocks", 1));
    assert_eq!(sum("drop_these_blocks", 3), 0, "all of it was freed");
    assert_eq!(sum("hand_these_blocks_over", 3), 0, "all of it was freed by another thread");
    assert!(sum("hand_these_blocks_over", 1) > 3 * DROPPED as u64, "all of it grew");
    assert_eq!(sum("9allocator", 1), 0, "the allocator's own frames are of no interest");

    let mappings = messages(&profile, 3);
    let program = std::env::current_exe().expect("this program has a path");
    let program = program.to_str().expect("it is text");
    assert!(mappings.iter().any(|mapping| string(integer(mapping, 5)) == program), "{strings:?}");
}

fn text(value: &Value<'_>) -> String {
    String::from_utf8(bytes_of(value).to_vec()).expect("names are text")
}

#[test]
fn the_folded_text_holds_what_is_in_use() {
    let text = String::from_utf8(file_of_child("heap.folded")).expect("it is text");
    let mut kept = 0;
    for line in text.lines() {
        let (stack, bytes) = line.rsplit_once(' ').expect("a stack and a number");
        let bytes = bytes.parse::<u64>().expect("a number");
        assert!(!stack.contains("drop_these_blocks"), "{line}");
        if let Some(at) = stack.find("keep_these_blocks") {
            kept += bytes;
            let outer = stack.find("run_test").expect("a test runs");
            assert!(outer < at, "not the outermost first: {line}");
        }
    }
    assert!(is_about(kept, KEPT), "{kept} bytes:\n{text}");
}

#[test]
fn a_leak_is_reported_with_its_call_stack() {
    let output = in_child(&[("STRATA_ALLOC_LEAKS", "1")]);
    let text = String::from_utf8_lossy(&output.stderr);
    let first = text.lines().next().expect("there is a report");
    let bytes = first.strip_prefix("strata: about ").and_then(|rest| rest.split(' ').next());
    let bytes = bytes.and_then(|bytes| bytes.parse().ok()).expect("a number");
    assert!(is_about(bytes, KEPT), "{text}");
    assert!(text.contains("keep_these_blocks") && !text.contains("drop_these_blocks"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_said_and_harms_nobody() {
    let output = in_child(&[("STRATA_ALLOC_PROFILE", "/nowhere/heap.pb")]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("cannot be written to /nowhere/heap.pb"), "{text}");
}
