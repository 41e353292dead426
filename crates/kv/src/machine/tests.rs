//! Tests of the state machine: steps, snapshots, and what a kill leaves.

use env::random::{Random, SeededRandom};

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is room")
}

fn put(key: &str, value: &str) -> Bytes {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::from(value.to_owned()));
    Command::Put { key, value }.encode()
}

/// The bytes of a snapshot.
fn written(make: Make) -> Result<Vec<u8>, MachineError> {
    let mut bytes = Vec::new();
    make(&mut bytes)?;
    Ok(bytes)
}

fn answer(bytes: Bytes) -> Option<String> {
    let Some(Answer::Former(value)) = Answer::decode(bytes) else { panic!("it is no value") };
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
    let data = written(make)?;

    let mut restored = Machine::open(other.path())?;
    restored.apply(Index(1), &put("old", "goes"))?;
    restored.commit(Index(1), &[(1, Some("goes".into()))])?;
    restored.restore(Index(3_001), &mut &data[..], &[(2, "row".into())])?;
    assert_eq!(restored.applied(), Index(3_001));
    assert_eq!(restored.rows()?, [(2, Bytes::from("row"))]);
    let view = restored.view();
    assert_eq!(view.get(b"old")?, None);
    assert_eq!(view.get(b"key 0")?, Some(vec![b'v'; 500]), "what came later is not in it");
    assert_eq!(view.scan(b"key ", 10_000)?.len(), 3_000);
    assert_eq!(view.scan(b"key 29", 10)?.len(), 10);
    assert_eq!(view.servers().get(&id), Some(&address));
    assert!(view.whole(|_| ()).is_some());
    assert!(restored.restore(Index(3_001), &mut &data[..data.len() - 1], &[]).is_err());
    assert!(view.whole(|_| ()).is_none(), "what failed has left a mixture");
    drop((restored, view));
    let mut half = Machine::open(other.path())?;
    assert_eq!(half.applied(), Index::ZERO, "what was not finished is begun again");
    assert!(half.view().whole(|_| ()).is_none(), "and is not read before");
    half.restore(Index(3_001), &mut &data[..], &[])?;
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
    let (view, data) = (machine.view(), written(machine.snapshot()?)?);
    let found = view.whole(|it| it.get(b"key")).expect("nothing is in between")?;
    assert_eq!(found, Some(b"there".to_vec()));
    // The first look began before the restore, and the second one within it.
    let mut cut = &data[..data.len() - 1];
    let overtaken = view.whole(|it| {
        assert!(machine.restore(Index(2), &mut &*cut, &[]).is_err(), "it is cut");
        it.get(b"key")
    });
    assert!(overtaken.is_none(), "the key reads as absent: {overtaken:?}");
    assert!(view.whole(|it| it.get(b"key")).is_none());
    // Begun and ended within one look.
    cut = &data;
    machine.restore(Index(2), &mut &*cut, &[])?;
    let spanned = view.whole(|it| {
        machine.restore(Index(3), &mut &*cut, &[]).expect("it is whole");
        it.get(b"key")
    });
    assert!(spanned.is_none(), "its parts may be from before and after: {spanned:?}");
    assert!(view.whole(|it| it.get(b"key")).is_some());
    Ok(())
}

/// A machine that is given commands, and ends a step after those whose bit is set.
struct Stepped {
    machine: Machine,
    index: u64,
    ends: u64,
}

impl Stepped {
    fn give(&mut self, command: &Command) -> Result<Answer, MachineError> {
        self.index += 1;
        let answer = self.machine.apply(Index(self.index), &command.encode())?;
        if self.ends >> self.index & 1 == 1 {
            self.machine.commit(Index(self.index), &[])?;
        }
        Ok(Answer::decode(answer).expect("it is an answer"))
    }
}

fn block(entries: &[(&str, &str)]) -> Bytes {
    let entries = entries.iter().map(|(key, value)| Ok::<_, MachineError>((key, value)));
    let mut bytes = entries
        .map(|it| it.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())))
        .peekable();
    let taken = crate::backup::Block::take(0, &mut bytes).expect("nothing fails");
    taken.expect("it has entries").0.entries
}

/// What a restore answers must not depend on where steps end: that differs between servers.
#[test]
fn a_backup_is_loaded_the_same_wherever_steps_end() -> Result<(), MachineError> {
    let (mut seen, mut random) = (Vec::new(), SeededRandom::new(5));
    for ends in [u64::MAX, 0, 1 << 2, 1 << 7].into_iter().chain((0..6).map(|_| random.next_u64())) {
        let folder = folder();
        let mut it = Stepped { machine: Machine::open(folder.path())?, index: 0, ends };
        let put = |key: &str| Command::Put { key: key.to_owned().into(), value: "old".into() };
        let get = |it: &Stepped, key: &str| it.machine.value(&key.to_owned().into());
        let mut answers = vec![
            it.give(&put("z"))?,
            it.give(&Command::Begin { replace: false })?,
            it.give(&Command::Delete { key: "z".into() })?,
            it.give(&Command::Begin { replace: false })?,
            it.give(&put("b"))?,
            it.give(&Command::Load { restore: 4, entries: block(&[("a", "1"), ("b", "2")]) })?,
            it.give(&Command::Begin { replace: false })?,
            it.give(&Command::Begin { replace: true })?,
            it.give(&Command::Load { restore: 4, entries: block(&[("d", "stray")]) })?,
            it.give(&Command::End { restore: 4 })?,
        ];
        assert_eq!((get(&it, "a")?, get(&it, "b")?), (None, None), "the second one begins empty");
        answers.push(it.give(&Command::Load { restore: 8, entries: block(&[("c", "3")]) })?);
        answers.push(it.give(&Command::End { restore: 8 })?);
        answers.push(it.give(&Command::End { restore: 8 })?);
        answers.push(it.give(&Command::End { restore: 0 })?);
        answers.push(it.give(&put("c"))?);
        answers.push(it.give(&Command::Delete { key: "a".into() })?);
        it.machine.commit(Index(it.index), &[])?;
        let all = it.machine.view().whole(|it| it.scan(b"", 10)).expect("it is whole")?;
        assert_eq!(all, [(b"c".to_vec(), b"old".to_vec())]);
        seen.push((ends, answers));
    }
    let not_under_way = Answer::Refused(Refused::NotUnderWay);
    let expected = [
        Answer::Former(None),
        Answer::Refused(Refused::NotEmpty),
        Answer::Former(Some("old".into())),
        Answer::Begun(4),
        Answer::Refused(Refused::Restoring),
        Answer::Former(None),
        Answer::Refused(Refused::NotEmpty),
        Answer::Begun(8),
        not_under_way.clone(),
        not_under_way.clone(),
        Answer::Former(None),
        Answer::Former(None),
        not_under_way.clone(),
        not_under_way,
        Answer::Former(Some("3".into())),
        Answer::Former(None),
    ];
    for (ends, answers) in seen {
        assert_eq!(answers, expected, "steps end by {ends:b}");
    }
    Ok(())
}

#[test]
fn a_half_loaded_backup_is_not_read_also_after_a_start_and_a_snapshot() -> Result<(), MachineError>
{
    let (one, other) = (folder(), folder());
    let mut it = Stepped { machine: Machine::open(one.path())?, index: 0, ends: u64::MAX };
    assert!(it.machine.view().entries().is_some());
    assert_eq!(it.give(&Command::Begin { replace: false })?, Answer::Begun(1));
    it.give(&Command::Load { restore: 1, entries: block(&[("a", "1")]) })?;
    let is_refused = |machine: &Machine| {
        let view = machine.view();
        view.is_loading() && view.whole(|_| ()).is_none() && view.entries().is_none()
    };
    assert!(is_refused(&it.machine));
    let data = written(it.machine.snapshot()?)?;
    drop(it.machine);
    let machine = Machine::open(one.path())?;
    assert!(is_refused(&machine), "what a start finds");
    let mut it = Stepped { machine, index: 2, ends: u64::MAX };
    assert_eq!(it.give(&Command::End { restore: 1 })?, Answer::Former(None), "it goes on");
    assert!(!is_refused(&it.machine));

    let mut restored = Machine::open(other.path())?;
    restored.restore(Index(2), &mut &data[..], &[])?;
    assert!(is_refused(&restored), "what a snapshot brings");
    let mut it = Stepped { machine: restored, index: 2, ends: u64::MAX };
    it.give(&Command::Load { restore: 1, entries: block(&[("b", "2")]) })?;
    it.give(&Command::End { restore: 1 })?;
    let (applied, entries) = it.machine.view().entries().expect("it is whole")?;
    assert_eq!((applied, entries.count()), (Index(4), 2));
    drop(it.machine);
    assert!(!is_refused(&Machine::open(other.path())?));
    Ok(())
}
