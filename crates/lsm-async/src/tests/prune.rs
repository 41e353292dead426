//! Tests of pruning: what stays is whole, whatever happens meanwhile.

use super::*;

fn keep(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("some are kept")
}

fn in_folder() -> (tempfile::TempDir, Arc<dyn ObjectStore>) {
    let (folder, mut stores) = object_stores();
    (folder, stores.pop().expect("there is one of files"))
}

async fn put_note(objects: &dyn ObjectStore, note: &Key) {
    let payload = PutPayload::from(Vec::new());
    objects.put_opts(note, payload, PutOptions::default()).await.expect("there is room");
}

async fn files(objects: &dyn ObjectStore) -> usize {
    let mut list = objects.list(Some(&Key::from("files")));
    let mut count = 0;
    while let Some(object) = crate::backup::next(&mut list).await {
        object.expect("it can be listed");
        count += 1;
    }
    count
}

/// Changes half of the store, so that a backup has new files and needs old ones.
async fn change(db: &AsyncDb, round: u32) {
    for number in round * 40..round * 40 + 200 {
        db.put(&key(number), &value(number, round)).await.expect("there is room");
    }
}

#[tokio::test]
async fn the_newest_of_each_store_stay_with_all_that_they_need() {
    let (_folder, stores) = object_stores();
    for objects in stores {
        let (one, other) = (tempfile::tempdir(), tempfile::tempdir());
        let (one, other) = (one.expect("it is writable"), other.expect("it is writable"));
        let (first, second) =
            (filled(one.path(), small(), 600).await, filled(other.path(), small(), 90).await);
        let backups = Backups::new(Arc::clone(&objects), "");
        let lone = backups.take(&second).await.expect("there is room").backup;
        let mut taken = Vec::new();
        for round in 0..4 {
            change(&first, round).await;
            let backup = backups.take(&first).await.expect("there is room").backup;
            taken.push((backup, entries(&first).await));
        }
        let before = files(&*objects).await;
        let pruned = backups.prune(keep(2)).await.expect("nothing else goes on");
        let gone: Vec<_> = taken.drain(..2).map(|it| it.0).collect();
        assert_eq!(pruned.backups, gone);
        assert!(pruned.files >= 2 && pruned.bytes > 0, "{pruned:?}");
        assert_eq!(files(&*objects).await, before - pruned.files);
        let left = backups.list().await.expect("they can be read");
        assert_eq!(left, [&lone, &taken[0].0, &taken[1].0].map(Clone::clone));
        for (backup, moment) in &taken {
            assert_eq!(restored(&backups, &backup.name).await, *moment);
        }
        assert_eq!(restored(&backups, &lone.name).await, entries(&second).await);
        let again = backups.prune(keep(2)).await.expect("nothing else goes on");
        assert_eq!((again.backups.len(), again.files), (0, 0));
    }
}

/// Prunings whose futures are dropped at each of their waits.
#[tokio::test]
async fn cut_off_anywhere_it_harms_no_backup_that_stays() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 400).await;
    let (_objects_folder, objects) = in_folder();
    let backups = Backups::new(Arc::clone(&objects), "");
    let mut kept = Vec::new();
    for polls in 1.. {
        change(&db, polls % 5).await;
        let backup = backups.take(&db).await.expect("there is room").backup;
        kept.push((backup.name, entries(&db).await));
        let mut left = polls;
        let outcome = {
            let mut pruning = pin!(backups.prune(keep(2)));
            poll_fn(|context| {
                if left == 0 {
                    return std::task::Poll::Ready(None);
                }
                left -= 1;
                pruning.as_mut().poll(context).map(Some)
            })
            .await
        };
        for (name, moment) in kept.iter().rev().take(2) {
            assert_eq!(restored(&backups, name).await, *moment, "after {polls} polls");
        }
        if let Some(outcome) = outcome {
            outcome.expect("nothing else goes on");
            assert!(polls > 8, "it was cut at {polls} places");
            break;
        }
        // What was left over goes: else each pruning would have more to do than the one before, and
        // it is a matter of luck when one of them comes to its end.
        backups.prune(keep(2)).await.expect("one that was cut off can be run again");
        let left = backups.list().await.expect("they can be read").len();
        assert_eq!(left, kept.len().min(2));
    }
    assert_eq!(backups.list().await.expect("they can be read").len(), 2);
    let again = backups.prune(keep(2)).await.expect("nothing else goes on");
    assert_eq!((again.backups.len(), again.files), (0, 0), "nothing was left behind");
}

#[tokio::test]
async fn backups_and_prunings_see_each_other() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let db = filled(folder.path(), small(), 400).await;
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let backups = Backups::new(Arc::clone(&objects), "");
    for _ in 0..2 {
        backups.take(&db).await.expect("there is room");
    }
    let taking = Key::from("taking/somebody");
    put_note(&*objects, &taking).await;
    let refused = backups.prune(keep(1)).await.expect_err("a backup is being taken");
    let BackupError::Busy(object) = refused else { panic!("{refused}") };
    assert_eq!(object, taking.to_string());
    assert_eq!(backups.list().await.expect("they can be read").len(), 2);
    // A pruning might remove any file that is there: none of them is used.
    put_note(&*objects, &Key::from("pruning/somebody")).await;
    let taken = backups.take(&db).await.expect("there is room");
    assert_eq!(taken.uploaded, taken.backup.files);
    assert_eq!(restored(&backups, &taken.backup.name).await, entries(&db).await);
}
