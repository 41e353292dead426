//! The committed results: the record can be read, and the plots are those of the record.

use std::path::{Path, PathBuf};

use env::fs::{FsExt, OsFs};
use harness::record::Record;
use harness::report::{parse, plots};

fn folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/results")).to_owned()
}

fn published() -> Record {
    let bytes = OsFs.read(&folder().join("results.json")).expect("the record is committed");
    parse::record("docs/results/results.json", &bytes).expect("the record can be read")
}

#[test]
fn the_published_record_is_whole() {
    let record = published();
    assert!(record.mode != "smoke", "a smoke run measures nothing");
    assert!(!record.commit.is_empty() && !record.dirty, "nobody can repeat {:?}", record.commit);
    let faults: Vec<_> = record.failures.iter().filter(|failure| failure.fault).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

/// `UPDATE=1` draws them anew.
#[test]
fn plots_show_the_published_record() {
    for plot in plots::files(&published()) {
        let path = folder().join(&plot.name);
        if std::env::var_os("UPDATE").is_some() {
            OsFs.write_atomic(&path, plot.svg.as_bytes()).expect("docs can be written");
        }
        let committed = OsFs.read_to_string(&path).expect("every plot is committed");
        assert!(committed == plot.svg, "{} is of another record", path.display());
    }
}
