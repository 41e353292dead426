//! Without faults the simulated disk answers every call as the machine's does.

use std::path::Path;

use env::fs::{File, Fs, FsExt, OpenMode, OsFs, Result};
use proptest::prelude::*;

use crate::sim::SimDisk;

const NAMES: [&str; 5] = ["a", "b", "d", "d/a", "d/e"];

#[derive(Clone, Debug)]
enum Step {
    Open(usize, OpenMode),
    Write(u64, Vec<u8>),
    Read(u64, usize),
    SetLen(u64),
    Preallocate(u64),
    Store(u8),
    Rename(usize, usize),
    Link(usize, usize),
    Remove(usize),
    RemoveDir(usize),
    CreateDir(usize),
    List(usize),
    Size(usize),
    Exists(usize),
    Sync(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES.len();
    let files = prop::sample::select(vec![0, 1, 3]);
    let bytes = prop::collection::vec(any::<u8>(), 0..30);
    let modes = prop::sample::select(vec![
        OpenMode::READ,
        OpenMode::WRITE,
        OpenMode::CREATE_NEW,
        OpenMode::OPEN_OR_CREATE,
        OpenMode::TRUNCATE,
    ]);
    let step = prop_oneof![
        3 => (files, modes).prop_map(|(at, mode)| Step::Open(at, mode)),
        3 => (0_u64..40, bytes).prop_map(|(at, bytes)| Step::Write(at, bytes)),
        2 => (0_u64..60, 0_usize..40).prop_map(|(at, len)| Step::Read(at, len)),
        1 => (0_u64..50).prop_map(Step::SetLen),
        1 => (0_u64..50).prop_map(Step::Preallocate),
        1 => any::<u8>().prop_map(Step::Store),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Link(from, to)),
        1 => name.clone().prop_map(Step::Remove),
        1 => name.clone().prop_map(Step::RemoveDir),
        2 => name.clone().prop_map(Step::CreateDir),
        1 => name.clone().prop_map(Step::List),
        1 => name.clone().prop_map(Step::Size),
        1 => name.clone().prop_map(Step::Exists),
        1 => name.prop_map(Step::Sync),
    ];
    prop::collection::vec(step, 1..40)
}

/// What a caller can tell: the answer, or the kind of the error.
fn show<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{:?} {:?}", error.kind, error.code),
    }
}

/// Runs the steps below `root` and records every answer.
fn answers(fs: &dyn Fs, root: &Path, steps: &[Step]) -> Vec<String> {
    let mut file: Option<Box<dyn File>> = None;
    let path = |name: &usize| root.join(NAMES[*name]);
    let mut answer = |step: &Step| match step {
        // A real disk opens a directory for reading and refuses the reads; ours refuses at once.
        Step::Open(name, _) if fs.list(&path(name)).is_ok() => String::new(),
        Step::Open(name, mode) => {
            let opened = fs.open(&path(name), *mode);
            let shown = show(opened.as_ref().map(|_| ()).map_err(Clone::clone));
            file = opened.ok();
            shown
        }
        Step::Rename(from, to) => show(fs.rename(&path(from), &path(to))),
        Step::Link(from, to) => show(fs.link(&path(from), &path(to))),
        Step::Remove(name) => show(fs.remove_file(&path(name))),
        Step::RemoveDir(name) => show(fs.remove_dir(&path(name))),
        Step::CreateDir(name) => show(fs.create_dir_all(&path(name))),
        Step::List(name) => show(fs.list(&path(name))),
        // The size of a directory is the file system's own affair.
        Step::Size(name) if fs.list(&path(name)).is_ok() => String::new(),
        Step::Size(name) => show(fs.size(&path(name))),
        Step::Exists(name) => show(fs.exists(&path(name))),
        Step::Sync(name) => show(fs.sync_dir(&path(name))),
        step => file.as_deref().map(|file| on_file(file, step)).unwrap_or_default(),
    };
    let mut answers: Vec<_> = steps.iter().map(&mut answer).collect();
    answers.extend(NAMES.iter().map(|name| show(fs.list(&root.join(name)))));
    let is_file = |name: &&&str| fs.list(&root.join(name)).is_err();
    answers.extend(NAMES.iter().filter(is_file).map(|name| show(fs.read(&root.join(name)))));
    answers
}

fn on_file(file: &dyn File, step: &Step) -> String {
    match step {
        Step::Write(offset, bytes) => show(file.write_at(bytes, *offset)),
        Step::Read(offset, len) => {
            let mut buffer = vec![0; *len];
            show(file.read_at(&mut buffer, *offset).map(|count| buffer[..count].to_vec()))
        }
        Step::SetLen(len) => show(file.set_len(*len)),
        Step::Preallocate(len) => show(file.preallocate(*len)),
        Step::Store(byte) => show(file.map(20).and_then(|mut mapped| {
            mapped.store(7, &[*byte; 3]);
            mapped.flush_range(7..10)?;
            file.size()
        })),
        step => unreachable!("{step:?} is not for an open file"),
    }
}

fn require_same_answers(steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let fs = SimDisk::new(0).mount();
    let root = Path::new("root");
    fs.create_dir_all(root).unwrap();
    let real = answers(&OsFs, folder.path(), steps);
    assert_eq!(answers(&*fs, root, steps), real);
}

/// Found by the random test below: the simulation refused, the machine did not ask.
#[test]
fn room_for_nothing_on_a_handle_that_only_reads() {
    require_same_answers(&[
        Step::Open(0, OpenMode::CREATE_NEW),
        Step::Open(0, OpenMode::READ),
        Step::Preallocate(0),
    ]);
}

proptest! {
    #[test]
    fn simulated_disk_answers_as_the_real_one(steps in steps()) {
        require_same_answers(&steps);
    }
}
