//! The budget is obeyed by the process, not only by the store's own reckoning.
//!
//! The test starts itself as a child, since the peak is that of a whole process: one that loads
//! more than its budget, reads all of it, writes a third of it anew and reads again.

use std::env;
use std::process::Command;

use ::env::fs::{Fs, OpenMode, OsFs};
use lsm::{Db, Options};

/// Set for the child: whether values lie apart.
const APART: &str = "STRATA_LSM_MEMORY_APART";
const BUDGET: usize = 168 << 20;
/// A thread that waits for a processor while it reads holds up the return of what others let go:
/// on a busy machine some megabytes. What the store keeps it keeps each time.
const ATTEMPTS: usize = 4;
const ENTRIES: u64 = 50_000;

/// The most memory that this process ever had, its program included; `None` where the system does
/// not tell.
fn peak() -> Option<usize> {
    let file = OsFs.open("/proc/self/status".as_ref(), OpenMode::READ).ok()?;
    let mut bytes = [0; 4096];
    let len = file.read_at(&mut bytes, 0).ok()?;
    let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
    let kilobytes = text.split_once("VmHWM:")?.1.split_whitespace().next()?.parse::<usize>();
    Some(kilobytes.ok()? << 10)
}

fn key(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

fn live(apart: bool) {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let value_threshold = apart.then_some(1 << 10);
    let options = Options { value_threshold, ..Options::with_budget(BUDGET) };
    let db = Db::open(folder.path(), options).expect("the directory is free");
    let write = |step: usize, mark: u8| {
        for number in (0..ENTRIES).step_by(step) {
            db.put(&key(number), &[mark; 4096]).expect("there is room on the disk");
        }
    };
    let read = || {
        for number in 0..ENTRIES {
            let found = db.get(&key(number)).expect("it can be read");
            assert_eq!(found.map(|it| it.len()), Some(4096), "every key was written");
        }
    };
    write(1, 1);
    read();
    write(3, 2);
    db.settle().expect("there is room on the disk");
    read();
    let stats = db.stats();
    let counted = stats.cached_bytes + stats.pinned_bytes + stats.memtable_bytes;
    assert!(counted > BUDGET / 4 && counted <= BUDGET, "{counted} bytes are counted");
    let (peak, most) = (peak().unwrap_or(0), BUDGET + BUDGET / 10);
    assert!(peak <= most, "{peak} bytes, of {most}");
}

#[test]
fn a_process_stays_within_its_budget() {
    if let Ok(apart) = env::var(APART) {
        live(apart == "true");
        return;
    }
    for apart in ["false", "true"] {
        let run = || {
            let this = env::current_exe().expect("a test knows its program");
            Command::new(this)
                .args(["--exact", "memory::a_process_stays_within_its_budget"])
                .env(APART, apart)
                .output()
                .expect("a process can be started")
        };
        let mut said = Vec::new();
        let is_within = (0..ATTEMPTS).any(|_| {
            let child = run();
            said.extend(child.stdout);
            child.status.success()
        });
        assert!(is_within, "apart: {apart}\n{}", String::from_utf8_lossy(&said));
    }
}
