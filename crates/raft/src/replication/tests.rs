use super::*;
use crate::{Configuration, Incarnation, MemoryStorage, Raft};

const IDS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// What the server says once all that it wants written is.
fn turn(raft: &mut Raft<MemoryStorage>) -> Vec<Message> {
    let mut ready = raft.ready().expect("memory can be read");
    if let Some(write) = ready.write {
        raft.storage_mut().write(&write);
        raft.persisted_into(write, &mut ready.messages);
    }
    ready.messages
}

fn answer(raft: &mut Raft<MemoryStorage>, from: NodeId, body: Body) {
    let (to, term) = (raft.id(), raft.status().term);
    raft.step(Message { from, to, incarnation: Incarnation(0), term, body });
}

/// Followers at the same place get one copy of what lies in several runs.
#[test]
fn followers_at_one_place_share_what_they_are_sent() {
    let storage = MemoryStorage::founding(Configuration::founding(IDS));
    let config = Config { pre_vote: false, ..Config::new(IDS[0], 1) };
    let mut raft = Raft::new(config, storage, Index::ZERO).expect("a valid config");
    raft.campaign();
    turn(&mut raft);
    answer(&mut raft, IDS[1], Body::VoteResponse { pre: false, granted: true });
    let asked = turn(&mut raft);
    for command in ["one", "another"] {
        raft.propose(command.into()).expect("it leads");
        assert_eq!(turn(&mut raft), [], "where the logs match is not known yet");
    }
    for message in &asked {
        let Body::AppendEntries { round, session, .. } = message.body else { continue };
        let outcome = AppendOutcome::Accepted { matched: Index(1) };
        answer(&mut raft, message.to, Body::AppendResponse { round, session, outcome });
    }
    let entries = |message: &Message| match &message.body {
        Body::AppendEntries { entries, .. } => entries.clone(),
        other => panic!("{other:?}"),
    };
    let sent: Vec<Entries> = turn(&mut raft).iter().map(entries).collect();
    let [first, second] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((first.len(), second.len()), (2, 2));
    assert!(std::ptr::eq(&raw const first[0], &raw const second[0]), "each has a copy");
}
