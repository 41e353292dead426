//! Part 3C: what survives a crash, and what a bad network cannot break.

use super::*;

fn restart(lab: &mut Lab, at: usize) {
    lab.crash(at);
    lab.restart(at);
    lab.connect(at, true);
}

#[test]
pub(super) fn test_persist_1_3c() {
    let mut lab = Lab::new(3);
    lab.one(3);
    (0..3).for_each(|at| lab.crash(at));
    (0..3).for_each(|at| lab.restart(at));
    lab.one(3);
    let leader = lab.leader();
    restart(&mut lab, leader);
    lab.one(3);
    let leader = lab.leader();
    lab.connect(leader, false);
    lab.one(2);
    restart(&mut lab, leader);
    let index = lab.one(3);
    assert_eq!(lab.committed(index), 3);
    let leader = lab.leader();
    let away = lab.others(leader)[0];
    lab.connect(away, false);
    lab.one(2);
    restart(&mut lab, away);
    lab.one(3);
}

#[test]
pub(super) fn test_persist_2_3c() {
    let mut lab = Lab::new(5);
    for _ in 0..5 {
        lab.one(5);
        let leader = lab.leader();
        let others = lab.others(leader);
        lab.connect_all(&others[..2], false);
        lab.one(3);
        lab.connect_all(&[leader, others[2], others[3]], false);
        for at in &others[..2] {
            restart(&mut lab, *at);
        }
        lab.pass(ELECTION);
        restart(&mut lab, others[2]);
        lab.one(3);
        lab.connect_all(&[leader, others[3]], true);
    }
    lab.one(5);
}

#[test]
pub(super) fn test_persist_3_3c() {
    let mut lab = Lab::new(3);
    lab.one(3);
    let leader = lab.leader();
    let others = lab.others(leader);
    lab.connect(others[1], false);
    lab.one(2);
    lab.crash(leader);
    lab.crash(others[0]);
    lab.connect(others[1], true);
    lab.restart(leader);
    lab.one(2);
    lab.restart(others[0]);
    lab.one(3);
}

/// Leaders crash soon after they got a command; a majority is always brought back.
#[test]
pub(super) fn test_figure_8_3c() {
    let mut lab = Lab::new(5);
    lab.one(1);
    let (mut up, mut crashes) = (5, 0);
    for _ in 0..1_000 {
        let command = lab.command();
        let leader = (0..5).filter(|at| lab.start(*at, &command).is_some()).last();
        let bound = if lab.below(1_000) < 100 { 500 } else { 13 };
        let wait = lab.below(bound);
        lab.pass(wait as u64);
        if let Some(leader) = leader {
            lab.crash(leader);
            up -= 1;
            crashes += 1;
        }
        let lost = lab.below(5);
        if up < 3 && lab.servers[lost].raft.is_none() {
            lab.restart(lost);
            up += 1;
        }
    }
    for at in 0..5 {
        if lab.servers[at].raft.is_none() {
            lab.restart(at);
        }
    }
    lab.one(5);
    assert!(crashes > 10, "{crashes} leaders crashed");
}

#[test]
pub(super) fn test_unreliable_agree_3c() {
    let mut lab = Lab::unreliable(5);
    for _ in 1..50 {
        let leader = lab.leader();
        for _ in 0..4 {
            let command = lab.command();
            lab.start(leader, &command);
        }
        lab.one(1);
    }
    lab.is_reliable = true;
    lab.one(5);
    assert!(lab.agreements() >= 50);
}

#[test]
pub(super) fn test_figure_8_unreliable_3c() {
    let mut lab = Lab::unreliable(5);
    lab.one(1);
    let mut up = 5;
    for round in 0..1_000 {
        lab.is_reordering |= round == 200;
        let command = lab.command();
        let leader = (0..5).filter(|at| lab.start(*at, &command).is_some()).last();
        let bound = if lab.below(1_000) < 100 { 500 } else { 13 };
        let wait = lab.below(bound);
        lab.pass(wait as u64);
        let strikes = lab.below(1_000) < usize::try_from(ELECTION).expect("it is small") / 2;
        if let Some(leader) = leader.filter(|_| strikes) {
            up -= usize::from(lab.servers[leader].is_connected);
            lab.connect(leader, false);
        }
        let lost = lab.below(5);
        if up < 3 && !lab.servers[lost].is_connected {
            lab.connect(lost, true);
            up += 1;
        }
    }
    (0..5).for_each(|at| lab.connect(at, true));
    lab.is_reordering = false;
    lab.one(5);
}

/// Clients propose while servers are cut off, crashed and restarted; what a client saw agreed on
/// is in the log at the end.
fn churn(mut lab: Lab) {
    let mut seen: Vec<(u64, Bytes)> = Vec::new();
    for _ in 0..20 {
        let lost = lab.below(5);
        match lab.below(3) {
            0 => lab.connect(lost, false),
            1 => lab.crash(lost),
            _ => {}
        }
        for _ in 0..3 {
            let command = lab.command();
            let index = (0..5).filter_map(|at| lab.start(at, &command)).last();
            let wait = lab.below(200);
            lab.pass(wait as u64);
            let agreed = index.filter(|index| lab.agreed.get(index) == Some(&command));
            seen.extend(agreed.map(|index| (index, command)));
        }
        let back = lab.below(5);
        if lab.servers[back].raft.is_none() {
            lab.restart(back);
        }
        lab.connect(back, true);
        lab.pass(ELECTION * 7 / 10);
    }
    lab.is_reliable = true;
    for at in 0..5 {
        if lab.servers[at].raft.is_none() {
            lab.restart(at);
        }
        lab.connect(at, true);
    }
    lab.one(5);
    assert!(seen.len() > 5, "{} commands were seen agreed on", seen.len());
    for (index, command) in seen {
        let kept = lab.servers.iter().all(|it| it.applied.get(&index) == Some(&command));
        assert!(kept, "what was agreed on at {index} is lost");
    }
}

#[test]
pub(super) fn test_reliable_churn_3c() {
    churn(Lab::new(5));
}

#[test]
pub(super) fn test_unreliable_churn_3c() {
    churn(Lab::unreliable(5));
}
