//! Tests of the state machine: steps, snapshots, and what a kill leaves.

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is room")
}

fn put(key: &str, value: &str) -> Bytes {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::from(value.to_owned()));
    Command::Put { key, value }.encode()
}

fn answer(bytes: Bytes) -> Option<String> {
    let Answer(value) = Answer::decode(bytes).expect("it is an answer");
    value.map(|value| String::from_utf8(value.to_vec()).expect("it is text"))
}

#[test]
fn commands_of_one_step_see_each_other_and_readers_see_whole_steps() -> Result<(), MachineError> {
    let folder = folder();
    let mut machine = Machine::open(folder.path())?;
    assert_eq!(answer(machine.apply(Index(1), &put("a", "1"))?), None);
    assert_eq!(answer(machine.apply(Index(2), &put("a", "2"))?), Some("1".into()));
    let swap = |expected: Option<&str>, value: Option<&str>| {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let (expected, value) = (expected.map(bytes), value.map(bytes));
        Command::Swap { key: "a".into(), expected, value }.encode()
    };
    assert_eq!(answer(machine.apply(Index(3), &swap(Some("1"), Some("3")))?), Some("2".into()));
    assert_eq!(answer(machine.apply(Index(4), &swap(Some("2"), Some("3")))?), Some("2".into()));
    assert_eq!(machine.view().get(b"a")?, None, "the step is not over");
    machine.commit(Index(4), &[(7, Some("row".into())), (8, Some("gone".into()))])?;
    assert_eq!(machine.view().get(b"a")?, Some(b"3".to_vec()));
    assert_eq!(answer(machine.apply(Index(5), &swap(Some("3"), None))?), Some("3".into()));
    assert_eq!(answer(machine.apply(Index(6), &swap(None, Some("4")))?), None);
    assert_eq!(
        answer(machine.apply(Index(7), &Command::Delete { key: "a".into() }.encode())?),
        Some("4".into())
    );
    machine.commit(Index(7), &[(8, None)])?;
    assert_eq!(machine.view().get(b"a")?, None);
    assert_eq!(answer(machine.query(&"a".into())?), None);
    machine.apply(Index(8), &put("lost", "with the step"))?;
    drop(machine);
    let machine = Machine::open(folder.path())?;
    assert_eq!(machine.applied(), Index(7));
    assert_eq!(machine.rows()?, [(7, Bytes::from("row"))]);
    assert_eq!(machine.view().get(b"lost")?, None);
    Ok(())
}

#[test]
fn a_snapshot_replaces_everything() -> Result<(), MachineError> {
    let (one, other) = (folder(), folder());
    let mut machine = Machine::open(one.path())?;
    for number in 0..3_000 {
        machine.apply(Index(number + 1), &put(&format!("key {number}"), &"v".repeat(500)))?;
    }
    let id = NodeId(3);
    let address: Address = "host:1:2".parse()?;
    machine
        .apply(Index(3_001), &Command::Announce { id, address: Some(address.clone()) }.encode())?;
    machine.commit(Index(3_001), &[])?;
    let make = machine.snapshot()?;
    machine.apply(Index(3_002), &put("key 0", "later"))?;
    machine.commit(Index(3_002), &[])?;
    let data = Bytes::from(make()?);

    let mut restored = Machine::open(other.path())?;
    restored.apply(Index(1), &put("old", "goes"))?;
    restored.commit(Index(1), &[(1, Some("goes".into()))])?;
    restored.restore(Index(3_001), &data, &[(2, "row".into())])?;
    assert_eq!(restored.applied(), Index(3_001));
    assert_eq!(restored.rows()?, [(2, Bytes::from("row"))]);
    let view = restored.view();
    assert_eq!(view.get(b"old")?, None);
    assert_eq!(view.get(b"key 0")?, Some(vec![b'v'; 500]), "what came later is not in it");
    assert_eq!(view.scan(b"key ", 10_000)?.len(), 3_000);
    assert_eq!(view.scan(b"key 29", 10)?.len(), 10);
    assert_eq!(view.servers().get(&id), Some(&address));
    assert!(view.whole(|_| ()).is_some());
    assert!(restored.restore(Index(3_001), &data.slice(..data.len() - 1), &[]).is_err());
    assert!(view.whole(|_| ()).is_none(), "what failed has left a mixture");
    drop((restored, view));
    let mut half = Machine::open(other.path())?;
    assert_eq!(half.applied(), Index::ZERO, "what was not finished is begun again");
    assert!(half.view().whole(|_| ()).is_none(), "and is not read before");
    half.restore(Index(3_001), &data, &[])?;
    assert_eq!(half.view().whole(|it| it.scan(b"", 10_000)).expect("it is whole")?.len(), 3_000);
    Ok(())
}

#[test]
fn a_look_that_a_restore_overtakes_is_refused() -> Result<(), MachineError> {
    let folder = folder();
    let mut machine = Machine::open(folder.path())?;
    assert!(machine.view().whole(|_| ()).is_some(), "an empty store is whole");
    machine.apply(Index(1), &put("key", "there"))?;
    machine.commit(Index(1), &[])?;
    let (view, data) = (machine.view(), Bytes::from(machine.snapshot()?()?));
    let found = view.whole(|it| it.get(b"key")).expect("nothing is in between")?;
    assert_eq!(found, Some(b"there".to_vec()));
    // The first look began before the restore, and the second one within it.
    let mut cut = data.slice(..data.len() - 1);
    let overtaken = view.whole(|it| {
        assert!(machine.restore(Index(2), &cut, &[]).is_err(), "it is cut");
        it.get(b"key")
    });
    assert!(overtaken.is_none(), "the key reads as absent: {overtaken:?}");
    assert!(view.whole(|it| it.get(b"key")).is_none());
    // Begun and ended within one look.
    cut = data;
    machine.restore(Index(2), &cut, &[])?;
    let spanned = view.whole(|it| {
        machine.restore(Index(3), &cut, &[]).expect("it is whole");
        it.get(b"key")
    });
    assert!(spanned.is_none(), "its parts may be from before and after: {spanned:?}");
    assert!(view.whole(|it| it.get(b"key")).is_some());
    Ok(())
}
