//! Programs that allocate much, under several libraries: processor time and peak memory.
//!
//! ```text
//! cargo build --release -p allocator-preload
//! cargo run --release -p allocator-preload --example compare -- \
//!     ours=target/release/liballocator_preload.so mimalloc=/path/to/libmimalloc.so glibc=
//! ```
//!
//! What else a library is to find in its environment follows its path: so one sees what
//! the heap profile costs.
//!
//! ```text
//! LIB=target/release/liballocator_preload.so
//! ... --example compare -- profiled=$LIB,STRATA_ALLOC_PROFILE=/tmp/heap.pb plain=$LIB
//! ```
//!
//! The first library is set beside each of the others; an empty path stands for the system's own
//! allocator. Rounds are interleaved, and the least of them counts, since other work on a machine
//! only ever adds. Every run must print the same. A program that the machine lacks is skipped.
//!
//! The peak is that of the largest process that a program starts. It cannot show less than this
//! program weighs itself, about 3 MiB.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::path::Path;
use std::process::{Command, Stdio};

use env::fs::{Fs, FsExt, OsFs};

const ROUNDS: usize = 5;

const PYTHON: &str = r"
import json, sqlite3
data = [{'id': i, 'name': 'n' * (i % 50), 'tags': [str(j) for j in range(i % 9)]}
    for i in range(30000)]
print(len(json.dumps(json.loads(json.dumps(data)))))
words = {}
for i in range(400000): words.setdefault(str(i * 7919 % 30011), []).append(i)
print(len(words), sum(map(len, words.values())))
db = sqlite3.connect(':memory:'); db.execute('create table t(a, b)')
db.executemany('insert into t values(?, ?)', [(i, 'y' * (i % 100)) for i in range(30000)])
print(db.execute('select sum(length(b)), count(distinct b) from t').fetchall())
";

const PERL: &str = "my %h; for my $i (0..400000) { push @{$h{$i * 7919 % 20011}}, \"v$i\" } \
    my $s = 0; for (1..3) { for my $k (keys %h) { $s += length join(',', @{$h{$k}}) } } \
    print scalar(keys %h), \" $s\\n\"";

const SQL: &str = "with recursive n(i) as \
    (select 1 union all select i + 1 from n where i < 150000) \
    select count(*), sum(length(hex(i))) from (select i from n order by hex(i) desc);";

/// Trees that are built and dropped, some of which live long.
const TREES_C: &str = r#"
#include <stdio.h>
#include <stdlib.h>
struct node { struct node *left, *right; };
static struct node *grow(int depth) {
    struct node *n = malloc(sizeof *n);
    n->left = depth ? grow(depth - 1) : 0;
    n->right = depth ? grow(depth - 1) : 0;
    return n;
}
static long fell(struct node *n) {
    if (!n) return 0;
    long count = 1 + fell(n->left) + fell(n->right);
    free(n);
    return count;
}
int main(void) {
    struct node *old = grow(17);
    long sum = 0;
    for (int depth = 4; depth <= 16; depth += 2)
        for (int turn = 0; turn < 1 << (22 - depth); turn++) sum += fell(grow(depth));
    printf("%ld\n", sum + fell(old));
}
"#;

/// Maps of strings, lists and vectors that come and go.
const MAPS_CPP: &str = r#"
#include <cstdio>
#include <list>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>
int main() {
    std::map<std::string, std::vector<int>> sorted;
    std::unordered_map<int, std::string> words;
    std::list<std::string> recent;
    unsigned state = 1;
    unsigned long sum = 0;
    for (int i = 0; i < 1000000; i++) {
        state = state * 1664525u + 1013904223u;
        unsigned key = (state >> 12) % 40000;
        sorted[std::to_string(key) + "-a-key-that-is-not-short"].push_back(i);
        words[key] = std::string(state >> 26, 'w');
        recent.push_back(words[key]);
        if (recent.size() > 5000) recent.pop_front();
        if (i % 5 == 0) sorted.erase(std::to_string(key) + "-a-key-that-is-not-short");
    }
    for (auto &it : sorted) sum += it.second.size();
    for (auto &it : recent) sum += it.size();
    std::printf("%zu %zu %lu\n", sorted.size(), words.size(), sum);
}
"#;

fn c_source() -> String {
    let function = |index| {
        let body = format!("for (int i = 0; i < b; i++) a = a * {index} + i; return a;");
        format!("int f{index}(int a, int b) {{ {body} }}")
    };
    (0..1_500).map(function).collect::<Vec<_>>().join("\n")
}

/// A name, a path, which is empty for the system's own, and variables of the environment.
struct Library {
    name: String,
    path: String,
    variables: Vec<(String, String)>,
}

/// What one program cost, in processor seconds and MiB.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    peak: f64,
}

impl Cost {
    const NONE: Self = Self { seconds: f64::INFINITY, peak: f64::INFINITY };

    fn least(self, other: Self) -> Self {
        let (seconds, peak) = (self.seconds.min(other.seconds), self.peak.min(other.peak));
        Self { seconds, peak }
    }
}

#[expect(unsafe_code, reason = "the system tells what a child cost when it is waited for")]
fn wait(pid: u32) -> Option<Cost> {
    // SAFETY: zero bytes are a place for the answer.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let (pid, mut status) = (i32::try_from(pid).ok()?, 0);
    // SAFETY: the child is ours, and nobody else waits for it; both places are ours.
    let found = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let ended_well = found == pid && status == 0;
    ended_well.then(|| Cost {
        seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak: usage.ru_maxrss as f64 / 1024.0,
    })
}

/// Runs a program; `None` where the machine lacks it.
fn run(command: &[&str], folder: &Path, library: &Library) -> Option<(Cost, Vec<u8>)> {
    let output = folder.join("output");
    // The shell sends the output to a file, so that nobody has to read a pipe, and is gone then.
    let mut process = Command::new("sh");
    process.args(["-c", "exec \"$@\" > output", "sh"]).args(command).current_dir(folder);
    process.env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0").stderr(Stdio::null());
    if !library.path.is_empty() {
        process.env("LD_PRELOAD", &library.path);
    }
    process.envs(library.variables.iter().map(|(name, value)| (name, value)));
    let child = process.spawn().ok()?;
    let cost = wait(child.id())?;
    Some((cost, OsFs.read(&output).ok()?))
}

/// The costs of a program under each library.
fn measure(command: &[&str], folder: &Path, libraries: &[Library]) -> Option<Vec<Cost>> {
    let (_, expected) = run(command, folder, &libraries[0])?;
    let mut costs = vec![Cost::NONE; libraries.len()];
    for round in 0..ROUNDS {
        for turn in 0..libraries.len() {
            let index = (turn + round) % libraries.len();
            let library = &libraries[index];
            let (cost, printed) = run(command, folder, library)
                .unwrap_or_else(|| panic!("{command:?} fails under {}", library.name));
            assert!(printed == expected, "{command:?} prints something else: {}", library.name);
            costs[index] = costs[index].least(cost);
        }
    }
    Some(costs)
}

fn libraries() -> Vec<Library> {
    let mut libraries = Vec::new();
    for argument in std::env::args().skip(1) {
        let mut parts = argument.split(',').map(|part| part.split_once('='));
        let first = parts.next().flatten();
        let (name, path) = first.expect("each argument is NAME=PATH[,VARIABLE=VALUE]...");
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let variables = parts.map(|part| part.map(owned).expect("VARIABLE=VALUE")).collect();
        let found = OsFs.size(Path::new(path)).is_ok();
        assert!(path.is_empty() || found, "{path} is no library");
        // Programs run in a folder of their own.
        let path = if path.is_empty() { String::new() } else { absolute(path) };
        libraries.push(Library { name: name.to_owned(), path, variables });
    }
    assert!(!libraries.is_empty(), "name at least one library: NAME=PATH");
    libraries
}

fn absolute(path: &str) -> String {
    let path = std::path::absolute(path).expect("there is a current folder");
    path.into_os_string().into_string().expect("a path of plain letters")
}

fn main() {
    let libraries = libraries();
    let folder = tempfile::tempdir().expect("there is room");
    let folder = folder.path();
    let gcc = c_source();
    for (name, text) in [("trees.c", TREES_C), ("maps.cpp", MAPS_CPP), ("many.c", &gcc)] {
        OsFs.write_atomic(&folder.join(name), text.as_bytes()).expect("there is room");
    }
    for build in ["cc -O2 -o trees trees.c", "c++ -O2 -o maps maps.cpp"] {
        let built = Command::new("sh").args(["-c", build]).current_dir(folder).status();
        if !built.is_ok_and(|status| status.success()) {
            println!("skipped, since the machine lacks a compiler: {build}");
        }
    }
    let programs: [(&str, &[&str]); 7] = [
        ("trees (C)", &["./trees"]),
        ("maps (C++)", &["./maps"]),
        ("gcc", &["gcc", "-O2", "-S", "-o", "-", "many.c"]),
        ("python3", &["python3", "-c", PYTHON]),
        ("perl", &["perl", "-e", PERL]),
        ("sqlite3", &["sqlite3", ":memory:", SQL]),
        ("xz", &["xz", "-T1", "-6", "-k", "-c", "many.c"]),
    ];
    print!("{:12}", "");
    for library in &libraries {
        print!("{:>20}", library.name);
    }
    println!("   (processor seconds, peak MiB)");
    let mut logs = vec![(0.0, 0.0); libraries.len()];
    let mut count = 0.0_f64;
    for (name, command) in programs {
        let Some(costs) = measure(command, folder, &libraries) else {
            println!("{name:12} skipped: this machine has none");
            continue;
        };
        print!("{name:12}");
        for (cost, logs) in costs.iter().zip(&mut logs) {
            print!("{:>11.3}{:>9.1}", cost.seconds, cost.peak);
            logs.0 += (costs[0].seconds / cost.seconds).ln();
            logs.1 += (costs[0].peak / cost.peak).ln();
        }
        println!();
        count += 1.0;
    }
    for (library, (time, peak)) in libraries.iter().zip(logs).skip(1) {
        let mean = |log: f64| (log / count.max(1.0)).exp();
        let (ours, theirs) = (&libraries[0].name, &library.name);
        println!("{ours} to {theirs}: time {:.3}, peak {:.3}", mean(time), mean(peak));
    }
}
