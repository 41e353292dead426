//! The two ends of a list under loss, repetition, reordering, and restarts of either.

use proptest::prelude::*;

use super::*;
use crate::pulse::Word;

type List = BTreeMap<GroupId, Term>;

#[derive(Clone, Debug)]
enum Step {
    Vouch(u64, u64),
    Withdraw(u64),
    /// The follower's core goes elsewhere.
    Refuse(u64),
    /// Says a word.
    Say,
    /// Some word arrives, perhaps again; the follower's cores agree to groups by these bits.
    Hear(usize, u64),
    /// Some echo arrives, perhaps again.
    Answer(usize),
    RestartLeader,
    RestartFollower,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6_u64, 1..4_u64).prop_map(|(group, term)| Step::Vouch(group, term)),
        2 => (0..6_u64).prop_map(Step::Withdraw),
        1 => (0..6_u64).prop_map(Step::Refuse),
        6 => Just(Step::Say),
        6 => (0..4_usize, any::<u64>()).prop_map(|(back, agrees)| Step::Hear(back, agrees)),
        6 => (0..4_usize).prop_map(Step::Answer),
        1 => Just(Step::RestartLeader),
        1 => Just(Step::RestartFollower),
    ]
}

/// What has come last, or a little earlier.
fn recent<T>(all: &[T], back: usize) -> Option<&T> {
    all.iter().rev().nth(back)
}

#[derive(Default)]
struct World {
    vouched: Vouched,
    carried: Carried,
    /// Which start of the leader it is.
    boot: u64,
    now: u64,
    /// Each word, who said it, and the list at that time.
    words: Vec<(u64, Word, List)>,
    /// Each echo, and what was carried when it was made.
    echoes: Vec<(Echo, List)>,
}

impl World {
    fn perform(&mut self, step: &Step) {
        self.now += 1;
        match *step {
            Step::Vouch(group, term) => self.vouched.vouch(GroupId(group), Term(term)),
            Step::Withdraw(group) => self.vouched.withdraw(GroupId(group)),
            Step::Refuse(group) => self.carried.refuse(GroupId(group)),
            Step::Say => {
                let list = self.vouched.groups.iter().map(|(group, it)| (*group, it.term));
                let list = list.filter(|(_, term)| *term != Term(0)).collect();
                let word = self.vouched.word(self.now);
                self.words.extend(word.map(|word| (self.boot, word, list)));
            }
            Step::Hear(back, agrees) => self.hear(back, agrees),
            Step::Answer(back) => self.answer(back),
            Step::RestartLeader => {
                self.boot += 1;
                self.vouched = Vouched::default();
            }
            Step::RestartFollower => self.carried = Carried::default(),
        }
    }

    fn hear(&mut self, back: usize, agrees: u64) {
        let Some((boot, word, list)) = recent(&self.words, back) else { return };
        let before = self.carried.groups.clone();
        let agrees = |group: GroupId, _| agrees & 1 << group.0 != 0;
        let changed = self.carried.take(*boot, word, self.now, agrees);
        for (group, term) in &self.carried.groups {
            let is_fresh = self.carried.heard(*group, *term) == Some(self.now);
            assert!(!is_fresh || list.get(group) == Some(term), "{group} was not in the list");
        }
        for group in (0..6).map(GroupId).filter(|group| !changed.contains(group)) {
            let now = self.carried.groups.get(&group);
            assert_eq!(before.get(&group), now, "{group} has changed in silence");
        }
        if let Some(echo) = self.carried.echo() {
            self.echoes.push((echo, self.carried.groups.clone()));
        }
    }

    fn answer(&mut self, back: usize) {
        let Some((echo, carried)) = recent(&self.echoes, back) else { return };
        if echo.boot != self.boot {
            return;
        }
        let known = self.believed();
        let lost = self.vouched.answered(echo);
        for (group, term) in self.believed() {
            let heard = self.vouched.heard(group, term).expect("it is believed");
            let is_news = heard == echo.tick;
            assert!(!is_news || carried.get(&group) == Some(&term), "{group} is not carried");
        }
        for (group, _) in known {
            let is_believed = self.believed().contains_key(&group);
            assert!(is_believed || lost.contains(&group), "{group} is lost in silence");
        }
    }

    /// Groups that the leader takes to be carried.
    fn believed(&self) -> List {
        let all = self.vouched.groups.iter().map(|(group, it)| (*group, it.term));
        all.filter(|(group, term)| self.vouched.heard(*group, *term).is_some()).collect()
    }
}

proptest! {
    /// What is carried was vouched for when it was said; what is believed to be carried was when
    /// that was said; and nobody forgets without saying so.
    #[test]
    fn neither_end_believes_what_the_other_did_not_say(
        steps in prop::collection::vec(step(), 1..120)
    ) {
        let mut world = World { boot: 1, ..World::default() };
        for step in &steps {
            world.perform(step);
        }
        // Without further losses both ends come to agree, once there is something to say.
        world.perform(&Step::Vouch(5, 9));
        for _ in 0..4 {
            world.perform(&Step::Say);
            world.perform(&Step::Hear(0, u64::MAX));
            world.perform(&Step::Answer(0));
        }
        prop_assert_eq!(world.believed(), world.carried.groups.clone());
    }
}

/// A follower starts again, and hears a word from before its start first: of a group that was
/// withdrawn since, and of whose withdrawal it had told the leader that it knows.
#[test]
fn an_old_word_does_not_bring_a_group_back() {
    let (mut vouched, mut carried) = (Vouched::default(), Carried::default());
    let (stays, goes) = (GroupId(1), GroupId(2));
    vouched.vouch(stays, Term(1));
    vouched.vouch(goes, Term(1));
    let old = vouched.word(1).expect("there is a list");
    let mut talk = |vouched: &mut Vouched, tick| {
        let word = vouched.word(tick).expect("there is a list");
        carried.take(1, &word, tick, |_, _| true);
        vouched.answered(&carried.echo().expect("it was asked"));
        carried.groups()
    };
    assert_eq!(talk(&mut vouched, 2), [stays, goes]);
    vouched.withdraw(goes);
    assert_eq!(talk(&mut vouched, 3), [stays]);
    carried = Carried::default();
    carried.take(1, &old, 4, |_, _| true);
    let mut talk = |vouched: &mut Vouched, tick| {
        let word = vouched.word(tick).expect("there is a list");
        carried.take(1, &word, tick, |_, _| true);
        let lost = vouched.answered(&carried.echo().expect("it was asked"));
        (lost, carried.heard(goes, Term(1)))
    };
    // The first word means nothing to it, and the leader learns that it has to begin anew.
    assert_eq!(talk(&mut vouched, 5), (vec![stays], Some(4)));
    assert_eq!(talk(&mut vouched, 6), (vec![], None));
    assert_eq!(vouched.heard(stays, Term(1)), Some(6));
}

#[test]
fn a_long_list_comes_in_parts() {
    let (mut vouched, mut carried) = (Vouched::default(), Carried::default());
    let count = 2 * CHANGES_MAX as u64 + 7;
    (0..count).for_each(|group| vouched.vouch(GroupId(group), Term(1)));
    for tick in 1..=3 {
        let word = vouched.word(tick).expect("there is a list");
        assert!(word.changes.len() <= CHANGES_MAX);
        carried.take(1, &word, tick, |_, _| true);
        assert_eq!(vouched.answered(&carried.echo().expect("it was asked")), []);
    }
    assert_eq!(carried.groups().len() as u64, count);
    let quiet = vouched.word(4).expect("there is a list");
    assert_eq!((quiet.changes.len(), quiet.base), (0, count), "and then nothing");
    (0..count).for_each(|group| vouched.withdraw(GroupId(group)));
    for tick in 5..=7 {
        carried.take(1, &vouched.word(tick).expect("until it is known"), tick, |_, _| true);
        vouched.answered(&carried.echo().expect("it was asked"));
    }
    assert_eq!(vouched.word(8), None, "nothing is left to say");
}

/// A word that no leader says, and one after the other of them, with ever more groups.
#[test]
fn what_is_refused_takes_bounded_memory() {
    let mut carried = Carried::default();
    let changes = |from: u64, count: usize| -> Vec<_> {
        (from..).take(count).map(|group| (GroupId(group), Term(1))).collect()
    };
    let long = Word { tick: 1, base: 0, version: 1, changes: changes(0, CHANGES_MAX + 1) };
    assert_eq!(carried.take(1, &long, 1, |_, _| true), [], "a word is not so long");
    let mine = GroupId(7);
    for tick in 1..20 {
        let changes = changes((tick - 1) * CHANGES_MAX as u64, CHANGES_MAX);
        let word = Word { tick, base: tick - 1, version: tick, changes };
        carried.take(1, &word, tick, |group, _| group == mine);
        assert!(carried.refused.len() <= REFUSED_KEPT, "{} are refused", carried.refused.len());
    }
    assert_eq!(carried.groups(), [], "what it stood for is forgotten with it");
    let echo = carried.echo().expect("it was asked");
    assert_eq!((echo.version, echo.refused), (0, vec![]), "so that the list is begun anew");
    let anew = Word { tick: 20, base: 0, version: 20, changes: changes(mine.0, 1) };
    carried.take(1, &anew, 20, |_, _| true);
    assert_eq!(carried.heard(mine, Term(1)), Some(20));
}
