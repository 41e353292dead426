//! Programs in C that are wrong, under the library in secure mode: each must end with a message
//! that names the block, or where a page cannot be accessed.

#![cfg(feature = "secure")]

use std::fmt::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use env::fs::{FsExt, OsFs};

/// What a program ends with.
#[derive(Clone, Copy)]
enum End {
    /// A message of ours that names the block and has these words in it.
    Says(&'static str),
    /// The system stops it at a page that cannot be accessed.
    Stopped,
    Well,
}
use End::{Says, Stopped, Well};

const TWICE: End = Says("is freed twice");
const NONE: End = Says("is no block");
const INSIDE: End = Says("lies inside the block");
const OVERRUN: End = Says("beyond its end");

/// Name, end, and what `main` does; `p` is a block whose address was told.
const PROGRAMS: &[(&str, End, &str)] = &[
    ("double-free-small", TWICE, "P(40) free(p); free(p);"),
    ("double-free-page", TWICE, "P(4096) free(p); free(p);"),
    ("double-free-large", TWICE, "P(1 << 20) free(p); free(p);"),
    ("double-free-fasttop", TWICE, "P(24) char *q = malloc(24); free(p); free(q); free(p);"),
    ("double-free-after-churn", TWICE, "P(64) free(p); churn(64, 30); free(p);"),
    ("double-free-by-realloc", TWICE, "P(64) realloc(p, 0); free(p);"),
    ("double-free-delete", TWICE, "P(64) _ZdlPv(p); _ZdlPv(p);"),
    ("free-stack", NONE, "char local[32]; tell(local); free(local);"),
    ("free-static", NONE, "static char place[32]; tell(place); free(place);"),
    ("free-text", NONE, "tell((void *)main); free((void *)main);"),
    ("realloc-static", NONE, "static char place[32]; tell(place); realloc(place, 64);"),
    ("usable-static", NONE, "static char place[32]; tell(place); malloc_usable_size(place);"),
    ("free-inside-small", INSIDE, "P(100) free(p + 16);"),
    ("free-inside-large", INSIDE, "P(1 << 20) free(p + 4096);"),
    ("free-unaligned", INSIDE, "P(100) free(p + 1);"),
    ("realloc-inside", INSIDE, "P(100) p = realloc(p + 16, 200);"),
    ("realloc-after-free", Says("is resized after"), "P(100) free(p); p = realloc(p, 200);"),
    ("usable-after-free", Says("is measured after"), "P(100) free(p); malloc_usable_size(p);"),
    ("overflow-one", OVERRUN, "P(100) p[100] = 1; free(p);"),
    ("overflow-nul", OVERRUN, "P(16) strcpy(p, \"sixteen letters!\"); free(p);"),
    ("overflow-word", OVERRUN, "P(8) memset(p, 7, 16); free(p);"),
    ("overflow-in-calloc", OVERRUN, "char *p = calloc(5, 5); tell(p); p[25] = 1; free(p);"),
    ("overflow-usable", Well, "P(100) memset(p, 1, malloc_usable_size(p)); free(p);"),
    ("overflow-large", OVERRUN, "P(100001) p[100001] = 1; free(p);"),
    ("overflow-large-guard", Stopped, "P(1 << 20) p[1 << 20] = 1;"),
    ("overflow-read-large", Stopped, "P(1 << 20) return p[1 << 20];"),
    ("overflow-never-freed", OVERRUN, "P(100) p[100] = 1;"),
    ("overflow-then-realloc", OVERRUN, "P(100) p[100] = 1; p = realloc(p, 90);"),
    ("overflow-memalign", OVERRUN, "char *p = memalign(256, 100); tell(p); p[100] = 1; free(p);"),
    ("underflow-large", Says("before its start"), "P(100001) p[-1] = 1; free(p);"),
    ("write-after-free", Says("while it was free"), "P(100) free(p); p[9] = 1;"),
    (
        "write-after-free-reuse",
        Says("while it was free"),
        "P(100) free(p); p[9] = 1; churn(100, 5000);",
    ),
    ("write-after-free-large", Stopped, "P(1 << 20) free(p); p[9] = 1;"),
    ("read-after-free-large", Stopped, "P(1 << 20) free(p); return p[9];"),
    ("read-after-free-small", Well, "P(100) memset(p, 9, 100); free(p); return p[9] != 0;"),
    ("zero-size-write", Stopped, "P(0) p[0] = 1;"),
    ("zero-size-read", Stopped, "P(0) return p[0];"),
    ("sized-free", Says("of 100 bytes"), "P(100) free_sized(p, 99);"),
    ("sized-delete", Says("of 100 bytes"), "char *p = _Znwm(100); tell(p); _ZdlPvm(p, 60);"),
    ("sized-delete-right", Well, "char *p = _Znwm(100); _ZdlPvm(p, 100);"),
    ("sized-free-right", Well, "P(100) free_sized(p, 100);"),
    ("too-large", Well, "return malloc((size_t)-1) || calloc(1ul << 33, 1ul << 33);"),
    (
        "child-double-free",
        TWICE,
        "P(64) free(p); if (fork() == 0) { free(p); _exit(0); } int s; wait(&s); return s;",
    ),
];

const PROLOGUE: &str = r#"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
void free_sized(void *, size_t); void _ZdlPv(void *); void _ZdlPvm(void *, size_t);
void *_Znwm(size_t);
static void tell(void *p) { // Without an allocation: a free may be the first thing of all.
    char line[32];
    write(2, line, snprintf(line, sizeof line, "block=%p\n", p));
}
static void churn(size_t size, int n) { while (n--) free(malloc(size)); }
#define P(size) char *volatile p = malloc(size); tell(p);
int main(int argc, char **argv) {
"#;

fn source() -> String {
    let mut text = PROLOGUE.to_owned();
    for (name, _, body) in PROGRAMS {
        let branch = format!("if (!strcmp(argv[1], \"{name}\")) {{ {body} return 0; }}");
        writeln!(text, "{branch}").expect("a string grows");
    }
    text + "return 99; }\n"
}

fn library() -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let folder = test.parent().expect("tests lie in `deps`, beside what they need");
    folder.join("liballocator_preload.so")
}

fn names_the_block(output: &Output, words: &str) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    let block = text.rsplit("block=").next().and_then(|rest| rest.split_whitespace().next());
    let named = |line: &str| {
        line.starts_with("strata:") && line.contains(words) && line.contains(block.unwrap_or("?"))
    };
    text.lines().any(named)
}

fn judge(folder: &Path, (name, end, _): (&str, End, &str)) {
    let mut command = Command::new(folder.join("misuse"));
    command.arg(name).env("LD_PRELOAD", library()).current_dir(folder);
    let output = command.output().expect("it was built");
    let status = output.status;
    let as_it_must = match end {
        // The child of one of them is what dies.
        Says(words) => !status.success() && names_the_block(&output, words),
        // 11: SIGSEGV.
        Stopped => status.signal() == Some(11),
        Well => status.success(),
    };
    assert!(as_it_must, "{name}: {output:?}");
}

#[test]
fn every_misuse_ends_the_program() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("misuse.c");
    OsFs.write_atomic(&path, source().as_bytes()).expect("there is room");
    let arguments = ["-O0", "-w", "-fno-builtin", "-o", "misuse", "misuse.c"];
    let mut build = Command::new("cc");
    build.args(arguments).arg(library()).arg(format!("-Wl,-rpath,{}", library().display()));
    let Ok(built) = build.current_dir(folder.path()).output() else {
        println!("skipped: this machine has no C compiler");
        return;
    };
    assert!(built.status.success(), "{built:?}");
    for program in PROGRAMS {
        judge(folder.path(), *program);
    }
}
