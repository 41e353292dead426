//! What an operator does to a cluster, at random: members, transfers, snapshots, lost disks.
//!
//! Two rules keep a cluster that can be mended. No configuration has fewer than three voters. And a
//! disk is wiped only while every voter has its own; the server is then removed and added again
//! before anything else changes.

use std::path::Path;
use std::time::Duration;

use env::clock::Timestamp;
use env::fs::Fs;
use env::random::{Random, SeededRandom};
use harness::sim::{Command, NodeId as Place};

use super::server::{Server, in_world};
use super::{CLIENTS, Mix, Node, Run};
use crate::{Change, Configuration, NodeId, Way};

pub(super) struct Churn {
    random: SeededRandom,
    /// On average so long between two actions.
    pace: Option<Duration>,
}

impl Churn {
    pub(super) fn new(seed: u64, pace: Option<Duration>) -> Self {
        Self { random: SeededRandom::new(seed ^ 0x4348_5552_4E00), pace }
    }

    /// When the next action is due.
    pub(super) fn next(&mut self, now: Timestamp) -> Timestamp {
        let Some(pace) = self.pace else { return Timestamp::MAX };
        let micros = u64::try_from(pace.as_micros()).expect("it is short");
        now + Duration::from_micros(1 + self.random.below(2 * micros))
    }

    pub(super) fn act(&mut self, run: &mut Run) {
        if self.pace.is_none() {
            return;
        }
        if let Some(mix) = run.shared.plan.duels {
            return self.duel(run, mix);
        }
        let servers = u64::from(run.shared.plan.servers);
        let any = NodeId(1 + self.random.below(servers));
        match self.random.below(14) {
            0 => Self::transfer(run, any),
            1 | 2 => {
                call(run, any, |server, _| server.raft.as_mut().map(crate::Raft::campaign));
            }
            3 | 4 => {
                let keep = self.random.below(4);
                call(run, any, |server, context| server.compact(keep, context));
            }
            5 => Self::wipe(run, any),
            6..=8 => self.change(run, any),
            9..=11 => self.strike_leader(run),
            _ => mend(run),
        }
    }

    /// Leadership is given away, or a leader's clock runs slowly; and a moment later it is cut off
    /// with a client.
    fn duel(&mut self, run: &mut Run, mix: Mix) {
        let any = NodeId(1 + self.random.below(u64::from(run.shared.plan.servers)));
        match self.random.below(12) {
            0..4 if mix == Mix::Transfers => {
                Self::transfer(run, any);
                let soon = Duration::from_micros(self.random.below(3_000));
                run.run_until(run.world.now() + soon);
                self.isolate_leader(run, any);
            }
            0..4 => {
                let Some(leader) = leader(run).map(in_world) else { return };
                run.world.inject(&Command::ClockRate(leader, 500_000));
                self.isolate_leader(run, any);
            }
            4..6 => self.strike_leader(run),
            6 => {
                call(run, any, |server, _| server.raft.as_mut().map(crate::Raft::campaign));
            }
            7 => {
                call(run, any, |server, context| server.compact(2, context));
            }
            8 => {
                let whole = (1..=run.shared.plan.servers).map(Place);
                whole.for_each(|it| run.world.inject(&Command::ClockRate(it, 1_000_000)));
            }
            _ => mend(run),
        }
    }

    /// Cuts off the leader of the earliest term, which may not know of a later one.
    fn isolate_leader(&mut self, run: &mut Run, other: NodeId) {
        let rafts = run.servers().filter_map(|server| server.raft.as_ref());
        let leaders = rafts.filter(|raft| raft.is_leader()).map(crate::Raft::status);
        let first = leaders.min_by_key(|status| status.term).map(|status| status.id);
        let place =
            in_world(if self.random.below(4) == 0 { Some(other) } else { first }.unwrap_or(other));
        run.world.inject(&Command::Partition(run.groups_around(place)));
    }

    /// What goes wrong with a leader shows more than what goes wrong with anybody.
    fn strike_leader(&mut self, run: &mut Run) {
        let Some(leader) = leader(run).map(in_world) else { return };
        let fault = match self.random.below(5) {
            0 | 1 => Command::Partition(run.groups_around(leader)),
            2 => Command::Crash(leader),
            3 => Command::CrashAfter(leader, self.random.below(6)),
            _ => Command::Pause(leader),
        };
        run.world.inject(&fault);
    }

    fn transfer(run: &mut Run, to: NodeId) {
        let Some(leader) = leader(run) else { return };
        call(run, leader, |server, context| {
            if let Some(raft) = &mut server.raft {
                // A target that cannot lead is refused, which is as good.
                _ = raft.transfer(to);
                server.pump(context);
            }
        });
    }

    /// Adds, promotes, demotes or removes `id`, whatever it is now.
    fn change(&mut self, run: &mut Run, id: NodeId) {
        let Some(leader) = leader(run) else { return };
        let (kind, joint) = (self.random.below(3), self.random.below(2) == 0);
        let disks = disks(run);
        call(run, leader, |server, context| {
            let Some(raft) = &mut server.raft else { return };
            let configuration = raft.configuration();
            let lost = wiped(configuration, &disks);
            let id = lost.unwrap_or(id);
            let Some(&(_, disk)) = disks.iter().find(|(known, _)| *known == id) else { return };
            let change = match kind {
                _ if lost.is_some() => Change::Remove(id),
                0 | 1 if !configuration.voters.contains(&id) => Change::AddVoter(id, disk),
                0 => Change::AddLearner(id, disk),
                _ => Change::Remove(id),
            };
            let stays = |voter: &&NodeId| **voter != id || matches!(change, Change::AddVoter(..));
            let adds =
                matches!(change, Change::AddVoter(..)) && !configuration.voters.contains(&id);
            let voters = configuration.voters.iter().filter(stays).count() + usize::from(adds);
            if voters >= 3 || (lost.is_some() && voters >= 2) {
                let way = if joint { Way::Joint } else { Way::Simple };
                // A leader that cannot yet says so, and the next action tries again.
                _ = raft.change(&[change], way);
                server.pump(context);
            }
        });
    }

    fn wipe(run: &mut Run, id: NodeId) {
        let Some(leader) = leader(run) else { return };
        let disks = disks(run);
        let servers = run.shared.plan.servers as usize;
        let is_whole = run.servers().filter_map(|server| server.raft.as_ref()).any(|raft| {
            let is_settled = raft.configuration_index() <= raft.status().commit;
            let configuration = raft.configuration();
            let is_enough = !configuration.is_joint() && configuration.voters.len() >= 3;
            raft.status().id == leader
                && is_settled
                && is_enough
                && wiped(configuration, &disks).is_none()
        });
        // Beside witnesses a disk may be the only one that has what is committed.
        let has_witnesses = disks.iter().any(|(_, disk)| disk.is_witness());
        let is_witness = disks.iter().any(|(other, disk)| *other == id && disk.is_witness());
        if has_witnesses && !is_witness {
            return;
        }
        // Every server is asked for its disk, so all must be up.
        if !is_whole || disks.len() < servers || leader == id || run.all_wipes() > 0 {
            return;
        }
        let place = in_world(id);
        run.world.inject(&Command::Kill(place));
        let fs = run.world.disk(place).mount();
        // Whether it succeeds or not: the disk may fail between the two, and what is begun then
        // must not have the name of what was lost (seed 37,712 of the soak, mix `leases`).
        run.shared.wipes.borrow_mut().insert(id, 1);
        run.shared.oracle.borrow_mut().has_lost_disks = true;
        // As one step: a half of a log is damage, not a new disk.
        let is_gone = fs.rename(Path::new("/raft"), Path::new("/wiped"));
        is_gone.and_then(|()| fs.sync_dir(Path::new("/"))).ok();
        run.world.inject(&Command::Restart(place));
    }
}

/// Everybody is up and reaches everybody, until the next fault.
fn mend(run: &mut Run) {
    run.world.inject(&Command::Heal);
    for server in (1..=run.shared.plan.servers).map(Place) {
        run.world.inject(&Command::Resume(server));
        run.world.inject(&Command::Restart(server));
    }
}

impl Run {
    /// A leader and one client, and all others: whoever asks there must not be told what was.
    fn groups_around(&self, leader: Place) -> Vec<Vec<Place>> {
        let client = Place(self.shared.plan.servers + 1);
        let last = self.shared.plan.servers + CLIENTS;
        let others = (1..=last).map(Place).filter(|place| ![leader, client].contains(place));
        vec![vec![leader, client], others.collect()]
    }

    /// How many disks were lost. One a run: what a second loss may do depends on changes that are
    /// still under way.
    fn all_wipes(&self) -> u64 {
        self.shared.wipes.borrow().values().sum()
    }
}

/// The leader of the latest term that is up.
fn leader(run: &Run) -> Option<NodeId> {
    let rafts = run.servers().filter_map(|server| server.raft.as_ref());
    let leaders = rafts.filter(|raft| raft.is_leader()).map(crate::Raft::status);
    leaders.max_by_key(|status| status.term).map(|status| status.id)
}

/// The disks of the servers that are up.
fn disks(run: &Run) -> Vec<(NodeId, crate::Incarnation)> {
    let of = |server: &Server| Some((server.raft.as_ref()?.status().id, server.incarnation));
    run.servers().filter_map(of).collect()
}

/// A voter that has lost its disk.
fn wiped(configuration: &Configuration, disks: &[(NodeId, crate::Incarnation)]) -> Option<NodeId> {
    let is_other = |(id, disk): &&(NodeId, crate::Incarnation)| {
        configuration.incarnation(*id).is_some_and(|known| known != *disk)
    };
    disks.iter().find(is_other).map(|(id, _)| *id)
}

fn call<T>(
    run: &mut Run,
    id: NodeId,
    body: impl FnOnce(&mut Server, &mut harness::sim::Context<'_, super::Wire>) -> T,
) -> Option<T> {
    let place: Place = in_world(id);
    run.world.call(place, |node, context| match node {
        Node::Server(server) => {
            let result = body(server, context);
            server.pump(context);
            Some(result)
        }
        Node::Client(_) => None,
    })?
}
