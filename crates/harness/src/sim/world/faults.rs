//! What each fault of a script does to the world.

use super::{Actor, Command, Fault, NodeId, World};
use crate::sim::script::Nodes;

impl<A: Actor> World<A> {
    pub(super) fn strike(&mut self, fault: &Command) {
        self.trace.note(self.now(), format_args!("script: {fault}"));
        match fault {
            Command::Partition(groups) => self.partition(groups),
            Command::OneWay(from, to) => self.network.block(Fault::OneWay, |sender, receiver| {
                from.contains(&sender) && to.contains(&receiver)
            }),
            Command::Bridge([left, _, right]) => self.network.block(Fault::Bridge, |one, other| {
                (left.contains(&one) && right.contains(&other))
                    || (right.contains(&one) && left.contains(&other))
            }),
            Command::Ring => self.ring(),
            Command::Heal => self.network.unblock(),
            Command::Link(from, to, fault) => {
                let (from, to) = (self.members(from), self.members(to));
                self.network.change(&from, &to, *fault);
            }
            Command::Pause(id) => self.pause(*id),
            Command::Resume(id) => self.resume(*id),
            Command::Kill(id) => self.stop(*id, Fault::Kill),
            Command::Crash(id) => self.stop(*id, Fault::Crash),
            Command::CrashAfter(id, ios) => self.node(*id).disk.crash_after(*ios),
            Command::Restart(id) => self.restart(*id),
            Command::ClockRate(id, rate) => {
                self.node(*id).clock.set_rate(*rate);
                self.note_fault(Fault::ClockRate, *id);
            }
            Command::ClockJump(id, nanos) => {
                self.node(*id).clock.jump(*nanos);
                self.note_fault(Fault::ClockJump, *id);
            }
            Command::Disk(id, fault) => self.node(*id).disk.inject(fault),
            Command::Recover => self.recover(),
        }
    }

    /// Panics where a fault names a node that does not exist.
    pub(super) fn require_nodes(&self, fault: &Command) {
        let named: Vec<NodeId> = match fault {
            Command::Partition(groups) => groups.concat(),
            Command::OneWay(from, to) => [from.as_slice(), to].concat(),
            Command::Bridge(groups) => groups.concat(),
            Command::Link(from, to, _) => [self.members(from), self.members(to)].concat(),
            Command::Pause(id)
            | Command::Resume(id)
            | Command::Kill(id)
            | Command::Crash(id)
            | Command::CrashAfter(id, _)
            | Command::Restart(id)
            | Command::ClockRate(id, _)
            | Command::ClockJump(id, _)
            | Command::Disk(id, _) => vec![*id],
            Command::Ring | Command::Heal | Command::Recover => Vec::new(),
        };
        let count = self.nodes.len();
        let exists = |id: &NodeId| (1..=count).contains(&(id.0 as usize));
        let missing = named.iter().find(|id| !exists(id));
        assert!(missing.is_none(), "`{fault}` names a node that is not among the {count}");
    }

    /// A node that no group names is a group of its own.
    fn partition(&mut self, groups: &[Vec<NodeId>]) {
        let group = |id: NodeId| groups.iter().position(|group| group.contains(&id));
        self.network
            .block(Fault::Partition, |from, to| group(from) != group(to) || group(from).is_none());
    }

    fn ring(&mut self) {
        let last = u32::try_from(self.nodes.len()).expect("nodes are numbered by u32");
        self.network.block(Fault::Ring, |from, to| {
            let apart = from.0.abs_diff(to.0);
            apart != 1 && apart != last - 1
        });
    }

    fn members(&self, nodes: &Nodes) -> Vec<NodeId> {
        match nodes {
            Nodes::All => self.ids().collect(),
            Nodes::Some(nodes) => nodes.clone(),
        }
    }

    /// A node that is down has nothing to pause.
    fn pause(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        node.is_paused = node.actor.is_some();
    }

    fn resume(&mut self, id: NodeId) {
        self.node_mut(id).is_paused = false;
        self.work_off(id);
    }

    /// Ends a process that is up.
    fn stop(&mut self, id: NodeId, how: Fault) {
        if self.node(id).actor.is_none() {
            return;
        }
        match how {
            Fault::Kill => self.node(id).disk.kill(),
            _ => self.node(id).disk.crash(),
        }
        self.lose_actor(id);
    }

    fn restart(&mut self, id: NodeId) {
        if self.node(id).actor.is_none() {
            self.note_fault(Fault::Restart, id);
            self.start(id);
        }
    }

    /// Disks first, so that nobody recovers from one that still fails.
    fn recover(&mut self) {
        self.network.heal();
        for id in self.ids() {
            self.node(id).disk.heal();
        }
        for id in self.ids() {
            self.resume(id);
            self.restart(id);
        }
    }

    fn note_fault(&self, fault: Fault, id: NodeId) {
        self.trace.fault(self.now(), fault, format_args!("node {id}"));
    }
}
