//! Part 3B: what is agreed on, and at what cost.

use super::*;

#[test]
pub(super) fn test_basic_agree_3b() {
    let mut lab = Lab::new(3);
    for count in 1..=3 {
        assert_eq!(lab.agreements(), count - 1, "nothing is agreed on before it is proposed");
        lab.one(3);
        assert_eq!(lab.agreements(), count);
    }
}

#[test]
pub(super) fn test_rpc_bytes_3b() {
    let mut lab = Lab::new(3);
    lab.one(3);
    let (before, mut sent) = (lab.bytes, 0);
    for letter in 0..10 {
        let command = Bytes::from(vec![letter; 5_000]);
        let leader = lab.leader();
        let index = lab.start(leader, &command).expect("it leads");
        lab.pass(100);
        assert_eq!(lab.committed(index), 3);
        sent += command.len() as u64;
    }
    let bytes = lab.bytes - before;
    assert!(bytes <= 3 * sent + 50_000, "{bytes} bytes for {sent} in commands");
}

#[test]
pub(super) fn test_follower_failure_3b() {
    let mut lab = Lab::new(3);
    lab.one(3);
    let leader = lab.leader();
    lab.connect(lab.others(leader)[0], false);
    lab.one(2);
    lab.pass(ELECTION);
    lab.one(2);
    let leader = lab.leader();
    for other in lab.others(leader) {
        lab.connect(other, false);
    }
    let command = lab.command();
    let index = lab.start(leader, &command);
    lab.pass(2 * ELECTION);
    assert_eq!(index.map_or(0, |index| lab.committed(index)), 0, "one of three decides nothing");
}

#[test]
pub(super) fn test_leader_failure_3b() {
    let mut lab = Lab::new(3);
    lab.one(3);
    let first = lab.leader();
    lab.connect(first, false);
    lab.one(2);
    lab.pass(ELECTION);
    lab.one(2);
    let second = lab.leader();
    lab.connect(second, false);
    let before = lab.agreements();
    for at in 0..3 {
        let command = lab.command();
        lab.start(at, &command);
    }
    lab.pass(2 * ELECTION);
    assert_eq!(lab.agreements(), before, "one of three decides nothing");
}

#[test]
pub(super) fn test_fail_agree_3b() {
    let mut lab = Lab::new(3);
    lab.one(3);
    let leader = lab.leader();
    let away = lab.others(leader)[0];
    lab.connect(away, false);
    lab.one(2);
    lab.one(2);
    lab.pass(ELECTION);
    lab.one(2);
    lab.one(2);
    lab.connect(away, true);
    lab.one(3);
    lab.pass(ELECTION);
    lab.one(3);
}

#[test]
pub(super) fn test_fail_no_agree_3b() {
    let mut lab = Lab::new(5);
    lab.one(5);
    let leader = lab.leader();
    let away = lab.others(leader)[..3].to_vec();
    lab.connect_all(&away, false);
    let command = lab.command();
    let index = lab.start(leader, &command).expect("it leads still");
    lab.pass(2 * ELECTION);
    assert_eq!(lab.committed(index), 0, "two of five decide nothing");
    lab.connect_all(&away, true);
    let leader = lab.leader();
    let command = lab.command();
    let index = lab.start(leader, &command).expect("it leads");
    assert!((2..=5).contains(&index), "{index}: an empty entry for each leader, and two commands");
    lab.one(5);
}

#[test]
pub(super) fn test_concurrent_starts_3b() {
    let mut lab = Lab::new(3);
    let leader = lab.leader();
    let term = lab.term(leader);
    let commands: Vec<_> = (0..5).map(|_| lab.command()).collect();
    let indices: Vec<_> =
        commands.iter().map(|it| lab.start(leader, it).expect("it leads")).collect();
    lab.pass(500);
    assert_eq!(lab.term(leader), term);
    for (index, command) in indices.iter().zip(&commands) {
        assert_eq!((lab.committed(*index), lab.agreed.get(index)), (3, Some(command)));
    }
}

#[test]
pub(super) fn test_rejoin_3b() {
    let mut lab = Lab::new(3);
    lab.one(3);
    let first = lab.leader();
    lab.connect(first, false);
    for _ in 0..3 {
        let command = lab.command();
        lab.start(first, &command);
    }
    lab.one(2);
    let second = lab.leader();
    lab.connect(second, false);
    lab.connect(first, true);
    lab.one(2);
    lab.connect(second, true);
    lab.one(3);
}

#[test]
pub(super) fn test_backup_3b() {
    fn flood(lab: &mut Lab, leader: usize) {
        for _ in 0..50 {
            let command = lab.command();
            lab.start(leader, &command);
        }
    }
    let mut lab = Lab::new(5);
    lab.one(5);
    let first = lab.leader();
    let others = lab.others(first);
    lab.connect_all(&others[1..], false);
    flood(&mut lab, first);
    lab.pass(ELECTION / 2);
    lab.connect_all(&[first, others[0]], false);
    lab.connect_all(&others[1..], true);
    for _ in 0..50 {
        lab.one(3);
    }

    let second = lab.leader();
    let third = *others[1..].iter().find(|at| **at != second).expect("three are connected");
    lab.connect(third, false);
    flood(&mut lab, second);
    lab.pass(ELECTION / 2);
    (0..5).for_each(|at| lab.connect(at, false));
    lab.connect_all(&[first, others[0], third], true);
    for _ in 0..50 {
        lab.one(3);
    }
    (0..5).for_each(|at| lab.connect(at, true));
    lab.one(5);
}

#[test]
pub(super) fn test_count_3b() {
    let mut lab = Lab::new(3);
    let leader = lab.leader();
    assert!((1..=30).contains(&lab.questions), "{} questions to elect", lab.questions);
    let before = lab.questions;
    for _ in 0..10 {
        let command = lab.command();
        lab.start(leader, &command).expect("it leads");
    }
    lab.pass(100);
    assert_eq!(lab.agreements(), 10);
    let asked = lab.questions - before;
    assert!(asked <= (10 + 1 + 3) * 3, "{asked} questions for ten commands");
    let before = lab.questions;
    lab.pass(ELECTION);
    let asked = lab.questions - before;
    assert!(asked <= 3 * 20, "{asked} questions in an idle second");
}
