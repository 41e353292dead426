//! Backups by the command line: of one cluster, into others.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use env::fs::{Fs, FsExt, OsFs};
use kv::{Client, ClientError, Consistency};
use serde_json::json;
use tokio::time::sleep;

use super::processes::Cluster;

/// Runs the program as a client; gives whether it was content, and what it said.
async fn run(cluster: &Cluster, arguments: &[&str], file: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strata-kv"));
    command.args(arguments).args(["--at", &cluster.http(&[1, 2, 3]).join(",")]).arg(file);
    let done = tokio::task::spawn_blocking(move || command.output()).await;
    let done = done.expect("it does not panic").expect("the program is there");
    let words = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&words).into_owned())
}

async fn fill(cluster: &Cluster, count: usize) {
    let mut client = cluster.client(30);
    for number in 0..count {
        let value = format!("{number} ").repeat(10_000);
        client.put(&format!("key {number}"), &value).await.expect("the cluster is up");
    }
}

async fn has(cluster: &Cluster, id: usize, key: &str) -> Result<Option<String>, ClientError> {
    let mut client = Client::new(cluster.http(&[id]), Duration::from_secs(20));
    client
        .get(key, Consistency::Linearizable)
        .await
        .map(|it| it.map(|it| it.chars().take(10).collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_taken_and_restored_and_damaged_ones_are_refused() {
    let old = Cluster::new().await;
    fill(&old, 40).await;
    let file = old.folder.path().join("backup");
    let (done, words) = run(&old, &["backup"], &file).await;
    assert!(done && words.starts_with("40 keys, up to entry "), "{words}");
    let whole = OsFs.read(&file).expect("it is there");

    let new = Cluster::new().await;
    let damaged = new.folder.path().join("damaged");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let longer = [&whole[..], b"x"].concat();
    for (bytes, reason) in [
        (&whole[..whole.len() - 1], "cut short"),
        (&whole[..whole.len() / 2], "cut short"),
        (&[][..], "cut short"),
        (&flipped, "checksum"),
        (&longer, "behind its end"),
    ] {
        OsFs.write_atomic(&damaged, bytes).expect("there is room");
        let (done, words) = run(&new, &["restore", "--replace"], &damaged).await;
        assert!(!done && words.contains(reason), "{reason}: {words}");
    }
    // None of them has changed anything: the cluster is empty still.
    let (done, words) = run(&new, &["restore"], &file).await;
    assert!(done && words == "40 keys\n", "{words}");
    for id in 1..=3 {
        assert_eq!(has(&new, id, "key 39").await, Ok(Some("39 39 39 3".to_owned())), "at {id}");
    }
    let (done, words) = run(&new, &["restore"], &file).await;
    assert!(!done && words.contains("restore into an empty cluster"), "{words}");
    let mut client = new.client(20);
    client.put("new", "goes").await.expect("the cluster is up");
    client.put("key 0", "other").await.expect("the cluster is up");
    let (done, words) = run(&new, &["restore", "--replace"], &file).await;
    assert!(done && words == "40 keys\n", "{words}");
    assert_eq!(has(&new, 2, "new").await, Ok(None));
    assert_eq!(has(&new, 3, "key 0").await, Ok(Some("0 0 0 0 0 ".to_owned())));
    // A backup of what was restored is the same but for the entry that it goes up to.
    let again = new.folder.path().join("again");
    let (done, words) = run(&new, &["backup"], &again).await;
    assert!(done, "{words}");
    assert_eq!(OsFs.read(&again).expect("it is there")[24..], whole[24..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_stops_half_way_is_not_read_and_is_done_again() {
    let mut cluster = Cluster::new().await;
    fill(&cluster, 40).await;
    let file = cluster.folder.path().join("backup");
    let (done, words) = run(&cluster, &["backup"], &file).await;
    assert!(done, "{words}");
    // As a client that dies behind the first command.
    let mut client = cluster.client(20);
    let begun = client.call("POST", "/restore", Some(&json!({ "replace": true }))).await;
    let restore = begun.expect("it begins")["restore"].clone();
    let leader = cluster.leader().await;
    cluster.kill(leader);
    cluster.start(leader, false);
    let mut hasty = cluster.client(2);
    let outcome = hasty.put("key 1", "lost").await;
    assert!(
        matches!(&outcome, Err(ClientError::Refused { reason }) if reason.contains("--replace")),
        "{outcome:?}"
    );
    for _ in 0..400 {
        let read = hasty.call("GET", "/kv/key%201", None).await;
        match read {
            Err(ClientError::TimedOut { last, .. }) if last.contains("--replace") => break,
            Err(ClientError::TimedOut { .. }) => sleep(Duration::from_millis(50)).await,
            answered => panic!("half a backup is read: {answered:?}"),
        }
    }
    let empty = cluster.folder.path().join("empty");
    let (done, words) = run(&cluster, &["backup", "--patience", "2"], &empty).await;
    assert!(!done && words.contains("--replace"), "{words}");
    assert!(!OsFs.exists(&empty).expect("the folder is there"), "a backup that is none");

    let (done, words) = run(&cluster, &["restore", "--replace"], &file).await;
    assert!(done && words == "40 keys\n", "{words}");
    let late = client.call("POST", &format!("/restore/{restore}"), None).await;
    assert!(matches!(late, Err(ClientError::Refused { .. })), "the first one is over: {late:?}");
    assert_eq!(has(&cluster, 1, "key 1").await, Ok(Some("1 1 1 1 1 ".to_owned())));
}
