//! Tests of the handle, of streams and of backups.

mod prune;

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use lsm::{Batch, Db, Durability, Error, Options};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectStore, PutOptions, PutPayload};

use crate::{AsyncDb, BackupError, Backups};

fn small() -> Options {
    Options {
        memtable_size: 16 << 10,
        memtables: NonZeroUsize::new(2).expect("not zero"),
        block_size: 256,
        level1_size: 32 << 10,
        table_size: 8 << 10,
        ..Options::with_budget(1 << 20)
    }
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:05}").into_bytes()
}

fn value(number: u32, round: u32) -> Vec<u8> {
    (number * 100 + round).to_le_bytes().repeat(20)
}

async fn filled(folder: &Path, options: Options, count: u32) -> AsyncDb {
    let db = AsyncDb::open(folder, options).await.expect("the folder is free");
    for number in 0..count {
        db.put(&key(number), &value(number, 0)).await.expect("there is room");
    }
    db
}

async fn entries(db: &AsyncDb) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut entries, mut all) = (db.range(..), Vec::new());
    while let Some(entry) = entries.next().await.expect("it can be read") {
        all.push(entry);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_write_and_read_their_own() {
    for durability in [Durability::Os, Durability::Sync] {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        let options = Options { durability, ..small() };
        let db = AsyncDb::open(folder.path(), options).await.expect("the folder is free");
        let task = |task: u32| {
            let db = db.clone();
            async move {
                for number in (0..400).map(|it| it * 8 + task) {
                    db.put(&key(number), &value(number, 0)).await?;
                    let found = db.get(&key(number)).await?;
                    assert_eq!(found, Some(value(number, 0)), "a task reads what it wrote");
                    if number % 3 == 0 {
                        db.delete(&key(number)).await?;
                    }
                }
                Ok::<(), Error>(())
            }
        };
        let tasks: Vec<_> = (0..8).map(|it| tokio::spawn(task(it))).collect();
        for task in tasks {
            task.await.expect("no task panics").expect("there is room");
        }
        let expected: Vec<_> =
            (0..3_200).filter(|it| it % 3 != 0).map(|it| (key(it), value(it, 0))).collect();
        assert_eq!(entries(&db).await, expected);
        db.close().await.expect("the last handle");
        let db = AsyncDb::open(folder.path(), small()).await.expect("it was closed");
        assert_eq!(entries(&db).await, expected);
    }
}

#[tokio::test]
async fn only_what_is_in_memory_is_answered_at_once() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 2_000).await;
    db.call(Db::compact).await.expect("there is room");
    db.close().await.expect("the last handle");
    let db = AsyncDb::open(folder.path(), small()).await.expect("it was closed");
    let family = db.db().default_family();
    let cold = family.get_in_memory(&key(7)).expect_err("nothing was read yet");
    assert!(matches!(cold, Error::WouldWait), "{cold}");
    assert_eq!(db.get(&key(7)).await.expect("it can be read"), Some(value(7, 0)));
    assert_eq!(family.get_in_memory(&key(7)).expect("it is cached"), Some(value(7, 0)));
    assert_eq!(family.get_in_memory(b"a").expect("no block may hold it"), None);
    // After an answer that needed the disk the thread may go there again.
    assert_eq!(family.get(&key(1_999)).expect("it can be read"), Some(value(1_999, 0)));
}

#[tokio::test]
async fn a_write_that_would_wait_is_not_made() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 10).await;
    let mut batch = Batch::new();
    batch.put(b"large", &[7; 15 << 10]).expect("it fits into a batch");
    let refused = db.db().try_write(&mut batch).expect_err("the memtable has no room");
    assert!(matches!(refused, Error::WouldWait), "{refused}");
    assert_eq!(db.get(b"large").await.expect("it can be read"), None);
    db.write(batch).await.expect("now it may wait");
    assert_eq!(db.get(b"large").await.expect("it can be read"), Some(vec![7; 15 << 10]));
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let durable = Options { durability: Durability::Sync, ..small() };
    let db = AsyncDb::open(folder.path(), durable).await.expect("the folder is free");
    let mut batch = Batch::new();
    batch.put(b"a", b"1").expect("it is small");
    assert!(matches!(db.db().try_write(&mut batch), Err(Error::WouldWait)), "it waits for a sync");
}

/// Futures of `next` that are dropped lose nothing, and writers do not disturb a stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_sees_one_moment_and_loses_nothing_when_it_is_dropped_in_between() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 3_000).await;
    let mut stream = db.range(&key(100)[..]..&key(2_900)[..]);
    let (mut found, mut dropped) = (Vec::new(), 0);
    loop {
        let outcome = {
            let mut next = pin!(stream.next());
            poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context))).await
        };
        match outcome {
            std::task::Poll::Pending => dropped += 1,
            std::task::Poll::Ready(entry) => match entry.expect("it can be read") {
                Some(entry) => found.push(entry),
                None => break,
            },
        }
        if found.len() % 200 == 1 {
            let number = u32::try_from(found.len()).expect("small");
            db.put(&key(number), b"later").await.expect("there is room");
        }
        tokio::task::yield_now().await;
    }
    let expected: Vec<_> = (100..2_900).map(|it| (key(it), value(it, 0))).collect();
    assert_eq!(found, expected);
    assert!(dropped > 5, "some pieces were waited for");
    assert!(stream.next().await.expect("it has ended").is_none());
}

fn object_stores() -> (tempfile::TempDir, Vec<Arc<dyn ObjectStore>>) {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let local = LocalFileSystem::new_with_prefix(folder.path()).expect("the folder is there");
    (folder, vec![Arc::new(InMemory::new()), Arc::new(local)])
}

async fn restored(backups: &Backups, name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let folder = folder.path().join("restored");
    backups.restore(name, &folder).await.expect("the backup is whole");
    let again = backups.restore(name, &folder).await.expect_err("there is a store now");
    assert!(matches!(again, BackupError::Occupied(_)), "{again}");
    let db = AsyncDb::open(&folder, small()).await.expect("it is a store");
    db.call(Db::verify).await.expect("no byte is damaged");
    entries(&db).await
}

#[tokio::test]
async fn a_backup_takes_what_is_new_and_is_restored_as_it_was() {
    let (_folder, stores) = object_stores();
    for objects in stores {
        for threshold in [None, Some(64)] {
            let folder = tempfile::tempdir().expect("the temporary directory is writable");
            let options = Options { value_threshold: threshold, ..small() };
            let db = filled(folder.path(), options, 1_500).await;
            // A merge between two backups would make all that it writes new.
            db.call(Db::settle).await.expect("there is room");
            let backups = Backups::new(Arc::clone(&objects), &format!("some/{threshold:?}"));
            let first = backups.take(&db).await.expect("there is room");
            assert!(first.uploaded > 5 && first.uploaded == first.backup.files, "{first:?}");
            let then = entries(&db).await;
            for number in 1_500..1_600 {
                db.put(&key(number), &value(number, 1)).await.expect("there is room");
            }
            let second = backups.take(&db).await.expect("there is room");
            assert!(second.uploaded < first.uploaded / 2, "{second:?} after {first:?}");
            let third = backups.take(&db).await.expect("there is room");
            assert_eq!(third.uploaded, 1, "the manifest of the copy");
            let names: Vec<_> = backups
                .list()
                .await
                .expect("they are there")
                .into_iter()
                .map(|it| it.name)
                .collect();
            assert_eq!(names, [&first, &second, &third].map(|it| it.backup.name.clone()));
            assert_eq!(restored(&backups, &names[0]).await, then);
            assert_eq!(restored(&backups, &names[2]).await, entries(&db).await);
            let missing = backups.restore("7", folder.path()).await.expect_err("there is none");
            assert!(matches!(missing, BackupError::Missing(_)), "{missing}");
        }
    }
}

/// A backup whose future is dropped at each of its waits: no index names what is not there.
#[tokio::test]
async fn an_interrupted_backup_leaves_the_ones_before_it_whole() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 600).await;
    let backups = Backups::new(Arc::new(InMemory::new()), "");
    let mut last = backups.take(&db).await.expect("there is room").backup;
    let mut moment = entries(&db).await;
    for polls in 1.. {
        let number = 600 + polls;
        db.put(&key(number), &value(number, 0).repeat(40)).await.expect("there is room");
        let mut left = polls;
        let outcome = {
            let mut taking = pin!(backups.take(&db));
            poll_fn(|context| {
                if left == 0 {
                    return std::task::Poll::Ready(None);
                }
                left -= 1;
                taking.as_mut().poll(context).map(Some)
            })
            .await
        };
        let newest = backups.list().await.expect("it can be read").pop().expect("there is one");
        if let Some(outcome) = outcome {
            last = outcome.expect("there is room").backup;
            assert_eq!(newest, last);
            assert!(polls > 8, "it was cut at {polls} places");
            break;
        }
        if newest != last {
            // The index was put, and nobody heard of it.
            moment = entries(&db).await;
            last = newest;
        }
        assert_eq!(restored(&backups, &last.name).await, moment, "after {polls} polls");
    }
    assert_eq!(restored(&backups, &last.name).await, entries(&db).await);
    let scratch = folder.path().join("uploading");
    let left = env::fs::Fs::list(&env::fs::OsFs, &scratch).expect("it is there");
    assert!(left.len() <= 2, "{left:?}: what was left over is removed by the next backup");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_at_once_do_no_harm() {
    let (_folder, stores) = object_stores();
    for objects in stores {
        let (one, other) = (tempfile::tempdir(), tempfile::tempdir());
        let (one, other) = (one.expect("it is writable"), other.expect("it is writable"));
        let first = filled(one.path(), small(), 900).await;
        let second = filled(other.path(), small(), 500).await;
        let backups = Backups::new(objects, "shared");
        let take = |db: &AsyncDb| {
            let (db, backups) = (db.clone(), backups.clone());
            tokio::spawn(async move { backups.take(&db).await })
        };
        let tasks = [take(&first), take(&second), take(&first), take(&second)];
        for (at, task) in tasks.into_iter().enumerate() {
            let taken = task.await.expect("no task panics").expect("there is room");
            let db = if at % 2 == 0 { &first } else { &second };
            assert_eq!(restored(&backups, &taken.backup.name).await, entries(db).await);
        }
    }
}

#[tokio::test]
async fn a_damaged_object_is_named_and_makes_no_store() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 600).await;
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let backups = Backups::new(Arc::clone(&objects), "");
    let name = backups.take(&db).await.expect("there is room").backup.name;
    let mut list = objects.list(Some(&Key::from("files")));
    let mut seen = 0;
    while let Some(object) = crate::backup::next(&mut list).await {
        let location = object.expect("it is in memory").location;
        let found = objects.get_opts(&location, GetOptions::default()).await.expect("it is there");
        let whole = found.bytes().await.expect("it is there");
        let mut bytes = whole.to_vec();
        bytes[whole.len() / 2] ^= 1;
        for damaged in [bytes, whole[1..].to_vec()] {
            let put = |bytes: Vec<u8>| {
                let payload = PutPayload::from(bytes);
                objects.put_opts(&location, payload, PutOptions::default())
            };
            put(damaged).await.expect("there is room");
            let folder = tempfile::tempdir().expect("the temporary directory is writable");
            let outcome = backups.restore(&name, folder.path()).await.expect_err("it is damaged");
            let BackupError::Damaged { object, .. } = outcome else { panic!("{outcome}") };
            assert_eq!(object, location.to_string());
            let missing = Options { create: false, ..small() };
            let opened = Db::open(folder.path(), missing).expect_err("it is no store");
            assert!(matches!(opened, Error::Missing(_)), "{opened}");
            put(whole.to_vec()).await.expect("there is room");
            // The same folder takes what is whole.
            backups.restore(&name, folder.path()).await.expect("it is whole again");
        }
        seen += 1;
    }
    assert!(seen > 5, "{seen} objects were damaged");
}
