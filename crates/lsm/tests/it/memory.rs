//! The budget is obeyed by the process, not only by the store's own reckoning.
//!
//! The test starts itself as a child, since the peak is that of a whole process: one that loads
//! more than its budget, reads all of it, writes a third of it anew and reads again. Where entries
//! are small, merges and an allocator's remains are more beside them, and the bound is a wider one.

use std::env;
use std::process::Command;

use ::env::fs::{Fs, OpenMode, OsFs};
use lsm::{Db, Options};

/// Set for the child: which of the [`LOADS`] it is.
const LOAD: &str = "STRATA_LSM_MEMORY_LOAD";
/// A thread that waits for a processor while it reads holds up the return of what others let go:
/// on a busy machine some megabytes. What the store keeps it keeps each time.
const ATTEMPTS: usize = 4;

/// What a process holds.
struct Load {
    name: &'static str,
    budget: usize,
    entries: u64,
    value: &'static [u8],
    value_threshold: Option<usize>,
    /// So many bytes the process may have at most.
    most: usize,
}

const LARGE: Load = Load {
    name: "large",
    budget: 168 << 20,
    entries: 50_000,
    value: &[1; 4096],
    value_threshold: None,
    most: (168 << 20) + (168 << 20) / 10,
};
const LOADS: [Load; 3] = [
    LARGE,
    Load { name: "large and apart", value_threshold: Some(1 << 10), ..LARGE },
    Load {
        name: "small",
        budget: 48 << 20,
        entries: 500_000,
        value: &[1; 100],
        most: (48 << 20) + (48 << 20) / 4 + PROGRAM,
        ..LARGE
    },
];
/// The pages of the program itself, which are nothing beside a large budget.
const PROGRAM: usize = 6 << 20;

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

fn live(load: &Load) {
    let Load { name, budget, entries, value, value_threshold, most } = *load;
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let options = Options { value_threshold, ..Options::with_budget(budget) };
    let db = Db::open(folder.path(), options).expect("the directory is free");
    let write = |step: usize| {
        for number in (0..entries).step_by(step) {
            db.put(&key(number), value).expect("there is room on the disk");
        }
    };
    let read = || {
        for number in 0..entries {
            let found = db.get(&key(number)).expect("it can be read");
            assert_eq!(found.map(|it| it.len()), Some(value.len()), "every key was written");
        }
    };
    write(1);
    read();
    write(3);
    db.settle().expect("there is room on the disk");
    read();
    let stats = db.stats();
    let counted = stats.cached_bytes + stats.pinned_bytes + stats.memtable_bytes;
    assert!(counted > budget / 4 && counted <= budget, "{name}: {counted} bytes are counted");
    let peak = peak().unwrap_or(0);
    assert!(peak <= most, "{name}: {peak} bytes, of {most}");
}

#[test]
fn a_process_stays_within_its_budget() {
    if let Ok(name) = env::var(LOAD) {
        live(LOADS.iter().find(|it| it.name == name).expect("a parent names one of them"));
        return;
    }
    for load in LOADS {
        let run = || {
            let this = env::current_exe().expect("a test knows its program");
            Command::new(this)
                .args(["--exact", "memory::a_process_stays_within_its_budget"])
                .env(LOAD, load.name)
                .output()
                .expect("a process can be started")
        };
        let mut said = Vec::new();
        let is_within = (0..ATTEMPTS).any(|_| {
            let child = run();
            said.extend(child.stdout);
            child.status.success()
        });
        assert!(is_within, "{}", String::from_utf8_lossy(&said));
    }
}
