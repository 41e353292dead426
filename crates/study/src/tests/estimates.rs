//! Numbers of documents follow from formulas and the record.

use env::fs::{Fs, FsExt, OsFs};

use super::root;
use crate::prose::{of_document, refreshed};

const ESTIMATE: &str = "\
```estimate
# a slot
slot    = 8 + 8 -> 16 B
wide    = 2 * -slot ^ 2 + 4 * (100 + 32) -> 16
was     = measured(hashmap memory/u64/1M 1 hashmap-word bytes_per_entry) -> 9 B
ratio   = was / slot in 1..4 -> 9.99
```
of **9 B**<!-- = slot --> a slot
";

/// What a document says must follow from its formulas and the record: a number that was changed, a
/// record that has, a name that is gone, and an estimate that is off are each noticed.
#[test]
fn estimates_are_recomputed() {
    let fresh = refreshed(root(), ESTIMATE).expect("it can be computed");
    assert!(fresh.contains("of **16 B**<!-- = slot --> a slot"), "{fresh}");
    assert_eq!(refreshed(root(), &fresh), Ok(fresh.clone()), "it is computed");
    let complaints = |text: &str| of_document(root(), "docs/x.md", text);
    assert_eq!(complaints(&fresh), Vec::<String>::new());
    for (text, other, told) in [
        ("-> 16 B", "-> 17 B", "stale"),
        ("8 + 8 ", "8 + 9 ", "stale"),
        ("**16 B**", "**17 B**", "stale"),
        ("1M 1", "1M 7", "no row"),
        ("in 1..4", "in 3..4", "think again"),
        ("was / slot", "was / place", "nothing is called place"),
        ("= slot -->", "= place -->", "nothing is called place"),
        ("(100 + 32)", "(100 + 32", "not closed"),
        ("8 + 8", "8 / 0", "no finite number"),
        ("wide ", "slot ", "another one"),
    ] {
        assert!(fresh.contains(text), "{text}");
        let found = complaints(&fresh.replacen(text, other, 1));
        assert!(found.len() == 1 && found[0].contains(told), "{text} to {other}: {found:?}");
    }
}

#[test]
fn another_record_makes_an_estimate_stale() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("docs/results");
    OsFs.create_dir_all(&place).expect("a folder can be made");
    let publish = |median: f64| {
        let row = format!(
            r#"{{"rows":[{{"build":"hashmap","workload":"memory/u64/1M","threads":1,
            "contender":"hashmap-word","metric":"bytes_per_entry","median":{median}}}]}}"#
        );
        let record = place.join("results.json");
        OsFs.write_atomic(&record, row.as_bytes()).expect("it can be written");
    };
    publish(32.0);
    let fresh = refreshed(folder.path(), ESTIMATE).expect("it can be computed");
    assert_eq!(of_document(folder.path(), "docs/x.md", &fresh), Vec::<String>::new());
    publish(33.0);
    assert_eq!(of_document(folder.path(), "docs/x.md", &fresh).len(), 1);
}
