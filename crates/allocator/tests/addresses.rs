//! Where blocks lie: elsewhere in each process, so that whoever has seen one does not know the
//! next.

use std::collections::HashSet;
use std::process::Command;

#[global_allocator]
static ALLOCATOR: allocator::Strata = allocator::Strata::new();

/// The environment variable that makes a child of this program.
const CHILD: &str = "STRATA_TEST_CHILD";

/// The child's part: where a block lies, and its stack.
#[test]
fn scene() {
    if std::env::var_os(CHILD).is_some() {
        let (block, local) = (Box::new([0_u8; 4096]), 0_u8);
        println!("addresses={:p},{:p} ", &raw const *block, &raw const local);
    }
}

fn addresses_in_child() -> (String, String) {
    let program = std::env::current_exe().expect("this program has a path");
    let arguments = ["--exact", "scene", "--nocapture", "--test-threads=1"];
    let mut command = Command::new(program);
    let output = command.args(arguments).env(CHILD, "1").output().expect("it can be run again");
    let text = String::from_utf8(output.stdout).expect("it is ASCII");
    let both = text.split("addresses=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let (block, stack) = both.and_then(|both| both.split_once(',')).expect("the child tells");
    (block.to_owned(), stack.to_owned())
}

#[test]
fn blocks_lie_elsewhere_in_each_process() {
    let (blocks, stacks): (HashSet<_>, HashSet<_>) = (0..4).map(|_| addresses_in_child()).unzip();
    if stacks.len() == 1 {
        println!("skipped: this process is to have the same addresses each time");
        return;
    }
    assert_eq!(blocks.len(), 4, "{blocks:?}");
}
