//! The tool as it is called.

use std::path::Path;
use std::process::Command;

/// What is said to somebody who has gone is no reason to panic.
#[test]
fn a_reader_may_go() {
    let tool = env!("CARGO_BIN_EXE_study");
    for command in ["list", "tour hashmap", "quiz --export", "--help", "hint --help"] {
        let shell = format!("{{ '{tool}' {command}; echo \"$?\" >&2; }} | true");
        let output = Command::new("sh").args(["-c", &shell]).output();
        let output = output.expect("a shell can be started");
        assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "0", "{command}");
    }
}

/// A mistake in a command names the next one, in one line or two, without a backtrace.
#[test]
fn mistakes_are_told_in_a_line_or_two() {
    let tool = env!("CARGO_BIN_EXE_study");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (arguments, told) in [(["tour", "nothing"], "There are:"), (["quiz", "nothing"], "study")] {
        let output = Command::new(tool).args(arguments).current_dir(root).output();
        let output = output.expect("the tool can be started");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(complaint.contains(told) && complaint.lines().count() <= 2, "{complaint}");
    }
}
