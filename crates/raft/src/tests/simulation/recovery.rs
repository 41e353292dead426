//! Clusters that lose a majority for good, and go on from one survivor.

use std::path::Path;

use env::fs::Fs;
use harness::sim::{Command, NodeId as Place, World};

use super::server::{GROUP, LOG, in_world};
use super::{CALM, Export, FAULTS, LOOK, Mix, Node, Plan, Run, Timestamp};
use crate::storage::Storage;
use crate::{Change, DiskLog, Incarnation, NodeId, Raft, Recovery, Survivor, Way};

const SERVERS: u32 = 5;

/// The most up-to-date server of all. It has everything that is committed, so that nothing is lost
/// and all that the oracle demands goes on being true.
fn most_up_to_date(run: &Run) -> NodeId {
    let status = run.servers().filter_map(|server| server.raft.as_ref()).map(Raft::status);
    let best = status.max_by_key(|it| (it.last.term, it.last.index));
    best.expect("somebody is up").id
}

/// All but the survivor lose their disks; the survivor is told to go on.
fn lose_majority(run: &mut Run, id: NodeId) {
    let others: Vec<_> = (1..=u64::from(SERVERS)).map(NodeId).filter(|it| *it != id).collect();
    for server in (1..=SERVERS).map(Place) {
        run.world.inject(&Command::Kill(server));
    }
    for other in &others {
        let fs = run.world.disk(in_world(*other)).mount();
        fs.rename(Path::new("/raft"), Path::new("/lost")).expect("it is there");
        fs.sync_dir(Path::new("/")).expect("the disk is whole");
        run.shared.wipes.borrow_mut().insert(*other, 1);
    }
    let fs = run.world.disk(in_world(id)).mount();
    let log = DiskLog::open(fs, Path::new("/raft"), LOG).expect("the disk is whole");
    let mut storage = log.group(GROUP).expect("it was a member");
    let (disk, new_disk) = (storage.incarnation(), Incarnation(50));
    let survivor = Survivor { id, disk, new_disk, given_up: &others, reachable: &[] };
    let recovery = Recovery::plan(&storage, &survivor).expect("nobody answers");
    storage.recover(&recovery).expect("the disk is whole");
    assert_eq!(storage.hard_state(), recovery.write().hard_state());
    drop((storage, log));
    for server in (1..=SERVERS).map(Place) {
        run.world.inject(&Command::Restart(server));
    }
}

/// Has the survivor take in the next server that is no member.
fn take_in(run: &mut Run, survivor: NodeId) {
    run.world.call(in_world(survivor), |node, context| {
        let Node::Server(server) = node else { return };
        let Some(raft) = &mut server.raft else { return };
        let mut ids = (1..=u64::from(SERVERS)).map(NodeId);
        if let Some(id) = ids.find(|id| raft.configuration().incarnation(*id).is_none()) {
            // While the last change is under way it is refused, and tried again.
            _ = raft.change(&[Change::AddVoter(id, Incarnation(1))], Way::Simple);
        }
        server.pump(context);
    });
}

#[test]
fn a_survivor_goes_on_and_takes_others_in_again() {
    for seed in 0..60 {
        let drawn = Plan::draw(seed, SERVERS);
        let plan = Plan { founders: SERVERS, witnesses: 0, churn: None, ..drawn };
        let mut run = Run::new(seed, plan, Export::default(), World::new);
        run.world.play(&Mix::Five.swarm().draw(seed));
        run.run_until(Timestamp::ZERO + FAULTS / 2);
        run.world.inject(&Command::Recover);
        run.run_until(Timestamp::ZERO + FAULTS);
        let survivor = most_up_to_date(&run);
        lose_majority(&mut run, survivor);
        let end = run.world.now() + CALM;
        while run.world.now() < end && !(run.is_well() && run.is_whole()) {
            take_in(&mut run, survivor);
            run.run_until((run.world.now() + LOOK).min(end));
        }
        assert!(run.is_whole(), "seed {seed}: all are members again");
        run.verdict().unwrap_or_else(|what| panic!("seed {seed}: {what}"));
    }
}

impl Run {
    /// Whether all servers are voters of one configuration.
    fn is_whole(&self) -> bool {
        let rafts: Vec<_> = self.servers().filter_map(|server| server.raft.as_ref()).collect();
        let is_full = |raft: &&Raft<_>| raft.configuration().voters.len() == SERVERS as usize;
        rafts.len() == SERVERS as usize && rafts.iter().all(is_full)
    }
}
