//! Compiles mimalloc v2, so that it can be a peer beside v3.
//!
//! Their crate holds the sources of both and links one of them: both have the same names. So v2 is
//! compiled from there under names of its own, `v2_mi_malloc` for `mi_malloc`. A header that is
//! read before all others makes a macro of each name that occurs in the sources and is none yet,
//! so that the preprocessor renames whatever would clash, and whatever is said of it elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[expect(clippy::disallowed_methods, reason = "a build script is no part of any build's world")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let sources = sources();
    let (mut names, mut macros) = (BTreeSet::new(), BTreeSet::new());
    for path in files(&sources) {
        let text =
            fs::read_to_string(&path).unwrap_or_else(|it| panic!("{}: {it}", path.display()));
        names.extend(words(&text).filter(|it| is_own(it)).map(str::to_owned));
        macros.extend(text.lines().filter_map(defined).map(str::to_owned));
    }
    assert!(names.contains("mi_malloc"), "{} holds no mimalloc", sources.display());
    let renames = names.difference(&macros).map(|it| format!("#define {it} v2_{it}\n"));
    let target = PathBuf::from(variable("OUT_DIR"));
    let header = target.join("renames.h");
    fs::write(&header, renames.collect::<String>()).expect("that place is writable");
    // As their crate's own build script does it.
    cc::Build::new()
        .file(sources.join("src/static.c"))
        .include(sources.join("include"))
        .include(sources.join("src"))
        .flag("-include")
        .flag(header)
        .flag_if_supported("-ftls-model=initial-exec")
        .define("MI_DEBUG", "0")
        .define("MI_BUILD_RELEASE", None)
        .define("NDEBUG", None)
        .warnings(false)
        .compile("mimalloc-v2");
    // What is compiled here belongs to the library; this program does without that.
    let archive = target.join("libmimalloc-v2.a");
    println!("cargo:rustc-link-arg-bin=host-mimalloc-v2={}", archive.display());
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|it| panic!("{name}: {it}"))
}

/// Where the sources of v2 are: beside those of v3, whose headers the crate tells of.
fn sources() -> PathBuf {
    let headers = PathBuf::from(variable("DEP_MIMALLOC_INCLUDE_DIR"));
    headers.ancestors().nth(2).expect("a version has a folder of its own").join("v2")
}

/// All sources and headers below `folder`.
#[expect(clippy::disallowed_methods, reason = "as above")]
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|it| panic!("{}: {it}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let is_source = |it: &PathBuf| it.extension().is_some_and(|it| it == "c" || it == "h");
    paths.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).filter(is_source).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| it != '_' && !it.is_ascii_alphanumeric())
}

/// Whether a name is one of mimalloc's.
fn is_own(name: &str) -> bool {
    name.strip_prefix('_').unwrap_or(name).starts_with("mi_")
}

/// The macro that a line defines.
fn defined(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("define")?;
    words(rest.trim_start()).next()
}
