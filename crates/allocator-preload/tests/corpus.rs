//! Programs under the library: what they print is what they print without it, byte for byte.
//!
//! A program that this machine does not have is skipped, and named.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
#![expect(unsafe_code, reason = "the C library is asked for a block")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use allocator::Strata;
use env::fs::{FsExt, OsFs};

fn library() -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let folder = test.parent().expect("tests lie in `deps`, beside what they need");
    folder.join("liballocator_preload.so")
}

fn run(command: &[&str], folder: &Path, preload: bool) -> Option<Output> {
    let mut process = Command::new(command[0]);
    process.args(&command[1..]).current_dir(folder).env("PYTHONMALLOC", "malloc");
    process.env("PYTHONHASHSEED", "0");
    if preload {
        process.env("LD_PRELOAD", library());
    }
    process.output().ok()
}

/// Runs a command with and without the library.
fn same(name: &str, command: &[&str], folder: &Path) {
    let Some(plain) = run(command, folder, false) else {
        println!("skipped: this machine has no {name}");
        return;
    };
    assert!(plain.status.success(), "{name} fails by itself: {plain:?}");
    let ours = run(command, folder, true).expect("it ran before");
    assert!(ours.status.success(), "{name}: {ours:?}");
    assert!(ours.stdout == plain.stdout, "{name} prints something else");
    assert_eq!(ours.stderr, plain.stderr, "{name} says something else");
}

/// Compiles a program that is right; false where the machine has no such compiler.
fn is_built(command: &[&str], folder: &Path) -> bool {
    let Some(built) = run(command, folder, false) else {
        println!("skipped: this machine has no {}", command[0]);
        return false;
    };
    assert!(built.status.success(), "{built:?}");
    true
}

fn with_folder(act: impl FnOnce(&Path)) {
    assert!(library().is_file(), "{} is not built", library().display());
    let folder = tempfile::tempdir().expect("there is room");
    act(folder.path());
}

/// A few hundred kilobytes of text that compresses neither well nor badly.
fn text() -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let lines: Vec<String> =
        (0..20_000).map(|line| format!("{line} {:x} {}", next(), next() % 10)).collect();
    lines.join("\n")
}

fn write(folder: &Path, name: &str, text: &str) {
    OsFs.write_atomic(&folder.join(name), text.as_bytes()).expect("there is room");
}

const PYTHON: &str = r"
import json, re, threading, sqlite3
data = [{'id': i, 'name': 'n' * (i % 50), 'tags': [str(j) for j in range(i % 9)]}
    for i in range(20000)]
text = json.dumps(data); print(len(text), hash(text))
assert json.loads(text) == data
print(len(re.findall(r'n+', text)))
out = []
def work(n):
    d = {}
    for i in range(20000): d[(n, i)] = 'x' * (i % 300)
    out.append(sum(map(len, d.values())))
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]; print(out)
db = sqlite3.connect(':memory:'); db.execute('create table t(a, b)')
db.executemany('insert into t values(?, ?)', [(i, 'y' * (i % 100)) for i in range(20000)])
print(db.execute('select sum(length(b)), count(distinct b) from t').fetchall())
";

const PERL: &str = "my %h; for my $i (0..200000) { $h{$i % 5000} .= chr(65 + $i % 26) } \
    my $s = 0; $s += length $h{$_} for keys %h; \
    print join(',', map { length } @h{1..20}), \" $s\\n\"";

const SQL: &str = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) \
    select count(*), sum(length(hex(i))) from (select i from n order by hex(i) desc);";

#[test]
fn interpreters_print_the_same() {
    with_folder(|folder| {
        same("python3", &["python3", "-c", PYTHON], folder);
        same("perl", &["perl", "-e", PERL], folder);
        same("sqlite3", &["sqlite3", ":memory:", SQL], folder);
    });
}

/// A server on a socket, filled, changed and asked by scripts of its own; then it ends.
const SERVER: &str = r#"
redis-server --port 0 --unixsocket s --save '' --daemonize no --io-threads 2 > log 2>&1 &
server=$!
for turn in $(seq 100); do redis-cli -s s ping > /dev/null 2>&1 && break; sleep 0.1; done
ask() { redis-cli -s s eval "$1" 0; }
ask "for i = 1, 30000 do redis.call('set', 'k' .. i, string.rep('x', i % 700)) end
    return redis.call('dbsize')"
ask "for i = 1, 20000 do redis.call('rpush', 'l' .. i % 50, string.rep('y', i % 90)) end
    return redis.call('llen', 'l7')"
ask "for i = 1, 20000 do redis.call('zadd', 'z', i * 7919 % 10007, 'm' .. i % 9000) end
    return redis.call('zrange', 'z', 0, 20)"
ask "for i = 1, 30000, 3 do redis.call('append', 'k' .. i, string.rep('z', 900)) end
    for i = 2, 30000, 3 do redis.call('del', 'k' .. i) end
    local sum = 0 for i = 1, 30000 do sum = sum + redis.call('strlen', 'k' .. i) end return sum"
redis-cli -s s shutdown nosave
wait $server
echo "ended: $?"
"#;

#[test]
fn a_server_answers_the_same() {
    with_folder(|folder| {
        write(folder, "server.sh", SERVER);
        match run(&["redis-server", "--version"], folder, false) {
            Some(_) => same("redis-server", &["sh", "server.sh"], folder),
            None => println!("skipped: this machine has no redis-server"),
        }
    });
}

/// What a program asks `new` to do where there is no memory, once, before it throws.
const HANDLER: &str = r#"
#include <cstdio>
#include <new>
static void handler() { std::puts("asked"); std::set_new_handler(nullptr); }
int main() {
    std::set_new_handler(handler);
    volatile std::size_t much = std::size_t(1) << 62;
    try {
        std::printf("%p\n", ::operator new(much));
    } catch (std::bad_alloc &) {
        std::puts("thrown");
    }
    std::printf("%d\n", ::operator new(much, std::nothrow) == nullptr);
}
"#;

#[test]
fn new_asks_the_handler_of_the_program() {
    with_folder(|folder| {
        write(folder, "handler.cpp", HANDLER);
        if is_built(&["c++", "-O1", "-o", "handler", "handler.cpp"], folder) {
            same("handler", &["./handler"], folder);
        }
    });
}

/// A program that does next to nothing, and says what it weighs: at most, and in pages of no file,
/// in KiB.
const SMALL: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    void *p[100]; char line[200]; int size;
    for (int i = 0; i < 100; i++) p[i] = malloc(1 + i * 10);
    for (int i = 0; i < 100; i++) free(p[i]);
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %d", &size) == 1 || sscanf(line, "RssAnon: %d", &size) == 1)
            printf("%d\n", size);
}
"#;

/// The least that the program weighs in some runs: at its peak, and in pages of no file. How many
/// pages of a file the system maps around those that a program touches differs from run to run.
fn weight(folder: &Path, preload: bool) -> [u32; 2] {
    let weigh = |_| {
        let output = run(&["./small"], folder, preload).expect("it was built");
        let said = String::from_utf8_lossy(&output.stdout);
        let mut sizes = said.lines().map(|line| line.parse::<u32>().expect("a size"));
        [(); 2].map(|()| sizes.next().expect("two sizes"))
    };
    let runs = (0..5).map(weigh);
    runs.reduce(|least, run| [least[0].min(run[0]), least[1].min(run[1])]).expect("runs")
}

/// The bar is a process of 2.5 MiB. The program by itself takes 1.2 to 1.7 of them, by the machine,
/// so that what the library adds is held against the rest. Secure mode has no bar: it spreads its
/// blocks at random, and keeps those that are freed.
#[test]
fn a_small_program_weighs_little() {
    with_folder(|folder| {
        write(folder, "small.c", SMALL);
        if !is_built(&["cc", "-O1", "-o", "small", "small.c"], folder) {
            return;
        }
        let [plain, ours] = [false, true].map(|preload| weight(folder, preload));
        let [all, own] = [0, 1].map(|size| ours[size].saturating_sub(plain[size]));
        println!("{} KiB, {all} more than by itself, {own} of them of no file", ours[0]);
        let most = if cfg!(feature = "secure") { [1408, 832] } else { [896, 256] };
        assert!(all <= most[0], "{all} KiB are more than the library may add");
        assert!(own <= most[1], "{own} KiB of no file are more than the library may add");
    });
}

#[test]
fn bad_options_are_reported_once_and_ignored() {
    let output = Command::new("sh")
        .args(["-c", "echo first; echo second"])
        .env("LD_PRELOAD", library())
        .env("STRATA_ALLOC_DECAY_MS", "soon")
        .env("STRATA_ALLOC_NONE", "1")
        .env("STRATA_ALLOC_HUGE", OsStr::from_bytes(b"\xff"))
        .output()
        .expect("there is a shell");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    for words in ["DECAY_MS=soon is no value", "NONE is no option", "is no text; it is ignored"] {
        assert_eq!(said.matches(words).count(), 1, "{words}: {said}");
    }
}

/// The allocator of this program itself, so that under the library there are two of them.
#[global_allocator]
static OWN: Strata = Strata::new();

/// What the test below runs once more, under the library.
#[test]
fn a_program_of_two_copies() {
    let churn = |seed: usize| {
        let texts: Vec<String> = (0..20_000).map(|it| "t".repeat((it + seed) % 300)).collect();
        let whole = |(it, text): (usize, &String)| text.len() == (it + seed) % 300;
        assert!(texts.iter().enumerate().all(whole), "a text of another length");
    };
    std::thread::scope(|scope| (0..4).for_each(|seed| drop(scope.spawn(move || churn(seed)))));
    // The C library knows nothing of it, and allocates by the other copy.
    // SAFETY: the path is a C string; the C library makes a block for what it returns.
    let real = unsafe { libc::realpath(c"/".as_ptr(), std::ptr::null_mut()) };
    assert!(!real.is_null(), "there is a root");
    // SAFETY: the block is of the family that the program calls.
    unsafe { libc::free(real.cast()) };
    let kept = vec![1_u8; 1000];
    assert!(OWN.stats().live >= kept.len(), "the program's own copy was not used");
}

#[test]
fn two_copies_in_one_process_get_along() {
    let program = std::env::current_exe().expect("this program has a path");
    let program = program.to_str().expect("plain letters");
    with_folder(|folder| {
        let child = [program, "--exact", "a_program_of_two_copies"];
        let output = run(&child, folder, true).expect("it runs by itself");
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    });
}

#[test]
fn tools_print_the_same() {
    with_folder(|folder| {
        write(folder, "text", &text());
        same("xz", &["xz", "-T2", "-k", "-c", "--block-size=65536", "text"], folder);
        write(folder, "a.c", &c_source());
        same("gcc", &["gcc", "-O2", "-S", "-o", "-", "a.c"], folder);
        let setup = "git init -q . && git add text a.c && git -c user.name=a -c user.email=a@b \
                     commit -q -m a";
        let made = Command::new("sh").args(["-c", setup]).current_dir(folder).output();
        if made.is_ok_and(|made| made.status.success()) {
            same("git", &["git", "fsck", "--full"], folder);
            same("git", &["git", "cat-file", "-p", "HEAD^{tree}"], folder);
            same("git", &["git", "pack-objects", "--all", "--stdout", "--threads=2"], folder);
        } else {
            println!("skipped: this machine has no git");
        }
    });
}

fn c_source() -> String {
    let function = |index| {
        let body = format!("for (int i = 0; i < b; i++) a = a * {index} + i; return a;");
        format!("int f{index}(int a, int b) {{ {body} }}")
    };
    (0..300).map(function).collect::<Vec<_>>().join("\n")
}

/// Threads that never rest, and a process that forks all the while: no child may hang or die.
const FORKS: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int stop;
static void *churn(void *seed) {
    unsigned s = (unsigned)(size_t)seed; void *p[64] = {0};
    while (!stop) { s = s * 1664525 + 1013904223; unsigned i = s >> 26; free(p[i]);
        p[i] = malloc(1 + (s >> 12) % 5000); memset(p[i], 1, 1); }
    for (int i = 0; i < 64; i++) free(p[i]);
    return 0;
}
static void *once(void *arg) { free(malloc(100)); return arg; }
int main(int argc, char **argv) {
    int children = atoi(argv[1]); pthread_t t[3], u;
    for (size_t i = 0; i < 3; i++) pthread_create(&t[i], 0, churn, (void *)(i + 1));
    for (int n = 0; n < children; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            for (int i = 0; i < 200; i++) { void *p = malloc(i * 37); free(p); }
            if (pthread_create(&u, 0, once, 0) || pthread_join(u, 0)) _exit(2);
            _exit(0);
        }
        int status; waitpid(pid, &status, 0);
        if (status) { printf("child %d: %d\n", n, status); return 1; }
    }
    stop = 1;
    for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
    printf("%d children\n", children);
    return 0;
}
"#;

#[test]
fn two_thousand_children_of_a_busy_process_end() {
    with_folder(|folder| {
        write(folder, "forks.c", FORKS);
        if !is_built(&["cc", "-O1", "-pthread", "-o", "forks", "forks.c"], folder) {
            return;
        }
        let output = run(&["./forks", "2000"], folder, true).expect("it was built");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "2000 children\n");
    });
}
