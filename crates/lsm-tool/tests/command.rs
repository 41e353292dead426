//! The command, as a user types it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use lsm::{Db, Options};

fn lsm(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lsm"));
    command.args(arguments).output().expect("the command was built")
}

/// What a command that succeeds prints.
fn said(arguments: &[&str]) -> String {
    let output = lsm(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// What a command that fails says of it.
fn refused(arguments: &[&str], code: i32) -> String {
    let output = lsm(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8(output.stderr).expect("it prints text")
}

/// What a session says of these lines, its errors, and its exit code.
fn session(arguments: &[&str], lines: &[u8]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lsm"));
    let command = command.arg("open").args(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the command was built");
    let mut input = child.stdin.take().expect("it is a pipe");
    // A session that did not begin reads nothing.
    input.write_all(lines).ok();
    drop(input);
    let output = child.wait_with_output().expect("it ends with its input");
    let text = |bytes| String::from_utf8(bytes).expect("it prints text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

#[test]
fn a_store_is_made_filled_read_and_copied() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let (store, copy) = (folder.path().join("store"), folder.path().join("copy"));
    let (store, copy) = (text(&store), text(&copy));
    assert!(refused(&["put", store, "a", "1"], 1).contains("there is no store"));
    said(&["put", store, "apple", "red", "--create"]);
    said(&["put", store, "apricot", "\\xff\\n"]);
    said(&["put", store, "pear", "green"]);
    said(&["put", store, "one", "1", "--family", "numbers", "--create"]);
    assert_eq!(said(&["get", store, "apple"]), "red\n");
    assert_eq!(said(&["get", store, "apricot"]), "\\xff\\n\n");
    assert_eq!(said(&["scan", store, "--prefix", "ap"]), "apple\tred\napricot\t\\xff\\n\n");
    assert_eq!(said(&["scan", store, "--reverse", "--limit", "1"]), "pear\tgreen\n");
    assert_eq!(said(&["scan", store, "--from", "b", "--to", "q"]), "pear\tgreen\n");
    assert_eq!(said(&["scan", store, "--family", "numbers"]), "one\t1\n");
    said(&["delete", store, "pear"]);
    assert!(refused(&["get", store, "pear"], 1).contains("there is no key pear"));
    let unknown = refused(&["get", store, "a", "--family", "x"], 1);
    assert!(unknown.contains("there are: default, numbers"), "{unknown}");
    said(&["compact", store]);
    assert!(said(&["checkpoint", store, copy]).starts_with("took 2 tables"));
    assert!(said(&["backup", store, copy]).contains("took 0 tables, 0 bytes; had 2"));
    assert_eq!(said(&["scan", copy]), "apple\tred\napricot\t\\xff\\n\n");
    assert!(said(&["verify", copy]).starts_with("2 tables"));
    let stats = said(&["stats", copy, "--tables"]);
    assert!(stats.contains("\"apple\" to \"apricot\""), "{stats}");
    refused(&["get", store, "\\q"], 2);
}

#[test]
fn a_session_does_what_its_lines_say() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let store = folder.path().join("store");
    let store = text(&store);
    let (_, missing, code) = session(&[store], b"put a 1\n");
    assert!(missing.contains("there is no store") && code == Some(1), "{missing}");
    let lines = b"put apple red\n\nput 'two words' \"a \\\"quoted\\\" one\"\nput \\x00 \\xff\\n\n\
        get apple\nget \"two words\"\nscan\nscan --from b --limit 1\nscan --prefix ap\n\
        scan --reverse --limit 1 --to b\ndelete apple\nscan --to b\nquit\nput late 1\n";
    let (said_there, errors, code) = session(&[store, "--create"], lines);
    let all = "\\x00\t\\xff\\n\napple\tred\ntwo words\ta \\\"quoted\\\" one\n";
    let some = "two words\ta \\\"quoted\\\" one\napple\tred\napple\tred\n\\x00\t\\xff\\n\n";
    assert_eq!(said_there, format!("red\na \\\"quoted\\\" one\n{all}{some}"));
    assert_eq!((&*errors, code), ("", Some(0)));
    assert!(refused(&["get", store, "late"], 1).contains("there is no key late"));
    assert_eq!(said(&["get", store, "two words"]), "a \\\"quoted\\\" one\n");

    let unknown = session(&[store, "--family", "numbers"], b"").1;
    assert!(unknown.contains("there is no family `numbers`; there are: default"), "{unknown}");
    let made = session(&[store, "--family", "numbers", "--create"], b"put one 1");
    assert_eq!(made, (String::new(), String::new(), Some(0)), "the last line may lack its end");
    assert_eq!(said(&["scan", store, "--family", "numbers"]), "one\t1\n");
}

#[test]
fn errors_do_not_end_a_session() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let store = text(folder.path());
    let (out, errors, code) = session(&[store, "--create"], b"get a\nput a 1\nget a\n");
    assert_eq!((&*out, code), ("1\n", Some(1)));
    assert_eq!(errors, "lsm: line 1: there is no key a\n");

    let lines = b"put a\nfly\nget 'a\n\xff\nscan --from b --prefix c\nget \\q\nget b\nget a\n";
    let (out, errors, code) = session(&[store], lines);
    assert_eq!((&*out, code), ("1\n", Some(2)), "{errors}");
    for said in [
        "line 1: error: the following required arguments",
        "line 2: error: unrecognized subcommand 'fly'",
        "line 3: there is a ' that nothing closes",
        "line 4: the line is no text",
        "line 5: error: the argument '--from <FROM>' cannot be used with",
        "line 6: error: invalid value '\\q' for '<KEY>': after a backslash",
        "line 7: there is no key b",
    ] {
        assert!(errors.contains(&format!("lsm: {said}")), "{said}: {errors}");
    }
    let (out, errors, code) = session(&[store], b"help\nput b 1\nstats\nhelp put\n");
    for said in [
        "get ",
        "put ",
        "delete ",
        "scan ",
        "stats ",
        "quit ",
        "written     1 changes",
        "blocks      0 hits",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert_eq!((&*errors, code), ("", Some(0)));
}

/// A program asks, reads the answer, and asks again; meanwhile the store is locked.
#[test]
fn a_session_answers_each_line_at_once() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let store = text(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_lsm"));
    let command = command.args(["open", store, "--create"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("built");
    let mut input = child.stdin.take().expect("it is a pipe");
    let mut answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
    for value in ["1", "2"] {
        writeln!(input, "put a {value}\nget a").expect("it reads");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("it answers");
        assert_eq!(answer, format!("{value}\n"));
    }
    let busy = refused(&["put", store, "a", "3"], 1);
    assert!(busy.contains("open elsewhere"), "{busy}");
    assert_eq!(said(&["get", store, "a"]), "2\n", "beside the session");
    drop(input);
    assert!(child.wait().expect("it ends with its input").success());
}

#[test]
fn looking_works_beside_the_program_that_has_the_store_open() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let store = text(folder.path());
    let db = Db::open(folder.path(), Options::default()).expect("the folder is free");
    db.put(b"a", b"1").expect("there is room");
    assert_eq!(said(&["get", store, "a"]), "1\n");
    let busy = refused(&["put", store, "a", "2"], 1);
    assert!(busy.contains("open elsewhere"), "{busy}");
}

#[test]
fn damage_of_manifest_and_log_is_found() {
    use env::fs::{Fs, FsExt, OpenMode, OsFs};
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let store = text(folder.path());
    let db = Db::open(folder.path(), Options::default()).expect("the folder is free");
    db.family("other").expect("there is room");
    for number in 0..50_u8 {
        db.put(&[number], b"value").expect("there is room");
    }
    drop(db);
    let sound = "0 tables, manifest and log: nothing is damaged\n";
    assert_eq!(said(&["verify", store]), sound);
    for part in ["manifest", "log"] {
        let path = folder.path().join(part).join("0000000000000001.wal");
        let whole = OsFs.read(&path).expect("it is there");
        let file = OsFs.open(&path, OpenMode::WRITE).expect("it is there");
        // In the bytes of the first record.
        file.write_all_at(&[whole[50] ^ 1], 50).expect("there is room");
        let verdict = refused(&["verify", store], 1);
        assert!(verdict.contains("is damaged at byte 32"), "{part}: {verdict}");
        file.write_all_at(&whole[50..51], 50).expect("there is room");
    }
    assert_eq!(said(&["verify", store]), sound);
}

#[test]
fn a_table_is_shown_and_damage_is_found() {
    use env::fs::{Fs, FsExt, OpenMode, OsFs};
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let store = text(folder.path());
    for number in 0..50 {
        said(&["put", store, &format!("key {number}"), "value", "--create"]);
    }
    said(&["compact", store]);
    let tables = folder.path().join("tables");
    let name = OsFs.list(&tables).expect("it is there").remove(0).name;
    let table = tables.join(name);
    let dump = said(&["dump", text(&table)]);
    assert!(dump.contains("\"key 7\" Value@0 = 5 bytes \"value\""), "{dump}");
    let mut bytes = OsFs.read(&table).expect("it is there");
    bytes[3] ^= 1;
    let file = OsFs.open(&table, OpenMode::WRITE).expect("it is there");
    file.write_all_at(&bytes, 0).expect("there is room");
    let verdict = refused(&["verify", store], 1);
    assert!(verdict.contains("is damaged at byte 0 (block)"), "{verdict}");
    assert!(refused(&["dump", text(&table)], 1).contains("is damaged at byte 0"));
    assert!(refused(&["repair", text(&folder.path().join("none"))], 1).contains("no store"));
    let report = said(&["repair", store]);
    assert!(report.contains("lost        tables/"), "{report}");
    assert!(report.contains("entries of family `default`, from key \"key 0\""), "{report}");
    said(&["verify", store]);
    assert!(said(&["repair", store]).starts_with("healthy"));
    assert!(OsFs.exists(&folder.path().join("lost/1/report.txt")).expect("it can be looked at"));
}

/// The log, what it leaves as files of values, and the manifest, each as far as it is whole.
#[test]
fn logs_are_shown_change_by_change() {
    use env::fs::{Fs, FsExt, OpenMode, OsFs};
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let files = |part: &str| {
        let part = folder.path().join(part);
        let found = OsFs.list(&part).expect("it is there");
        // What waits to become a segment holds nothing yet.
        let names = found.into_iter().map(|it| part.join(it.name));
        names.filter(|it| it.extension() != Some("spare".as_ref())).collect::<Vec<_>>()
    };
    let options = Options { value_threshold: Some(100), ..Options::with_budget(1 << 20) };
    let db = Db::open(folder.path(), options).expect("the folder is free");
    for number in 0..2_000 {
        db.put(format!("big {number:04}").as_bytes(), &[b'x'; 1_000]).expect("there is room");
    }
    db.settle().expect("there is room");
    db.family("other").expect("there is room").delete_range(b"a", b"k").expect("there is room");
    db.put(b"last", b"small").expect("there is room");
    drop(db);
    let all =
        |part: &str| files(part).iter().map(|it| said(&["dump", text(it)])).collect::<String>();
    let value = format!(
        "= 1000 bytes \"{}\"...
",
        "x".repeat(64)
    );
    let shown = all("values");
    assert!(shown.contains(&format!("  family 0 \"big 0007\" Value@8 {value}")), "{shown}");
    let shown = all("log");
    assert!(shown.contains("  family 1 \"a\" Removal@2001 = 1 bytes \"k\"\n"), "{shown}");
    assert!(shown.contains("  family 0 \"last\" Value@2002 = 5 bytes \"small\"\n"), "{shown}");
    let shown = all("manifest");
    assert!(shown.contains("  family 1 is `other`\n"), "{shown}");
    assert!(shown.contains("  family 0 has table "), "{shown}");
    assert!(shown.contains("keys \"big 0000\" to \"big "), "{shown}");

    let manifest = files("manifest").remove(0);
    let file = OsFs.open(&manifest, OpenMode::WRITE).expect("it is there");
    let byte = OsFs.read(&manifest).expect("it is there")[50];
    file.write_all_at(&[byte ^ 1], 50).expect("there is room");
    let damaged = said(&["dump", text(&manifest)]);
    assert!(damaged.contains("damaged      from 32 to "), "{damaged}");
    assert!(damaged.contains("  family 1 is `other`\n"), "what is behind it is shown: {damaged}");
    let lock = text(&folder.path().join("LOCK")).to_owned();
    assert!(refused(&["dump", &lock], 1).contains("is damaged at byte 0 (name)"));
}
