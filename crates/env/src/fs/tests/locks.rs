//! The lock excludes a second holder, in this process and in another.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::folder;
use crate::fs::{Fs, FsErrorKind, OsFs};

/// Tells the child what to lock.
const LOCK_PATH: &str = "ENV_TEST_LOCK_PATH";

#[test]
fn lock_excludes_a_second_descriptor_until_it_is_dropped() {
    let folder = folder();
    let path = folder.path().join("LOCK");
    let held = OsFs.lock(&path).unwrap();
    assert_eq!(OsFs.lock(&path).unwrap_err().kind, FsErrorKind::Locked);
    drop(held);
    assert!(OsFs.lock(&path).is_ok());
}

#[test]
fn lock_of_a_killed_process_is_free() {
    let folder = folder();
    let path = folder.path().join("LOCK");
    let mut child = child_that_locks(path.clone());
    assert_eq!(OsFs.lock(&path).unwrap_err().kind, FsErrorKind::Locked);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(OsFs.lock(&path).is_ok());
}

/// The other process: this test binary, running the test below alone.
fn child_that_locks(path: PathBuf) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "fs::tests::locks::child_holds_the_lock"])
        .env(LOCK_PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The child's test runner talks first.
    assert!(lines.any(|line| line.unwrap().contains("locked")), "the child never took the lock");
    child
}

/// Nothing in an ordinary run; in the child, holds the lock until standard input ends.
#[test]
fn child_holds_the_lock() {
    let Some(path) = env::var_os(LOCK_PATH) else { return };
    let held = OsFs.lock(&PathBuf::from(path)).unwrap();
    println!("locked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    drop(held);
}
