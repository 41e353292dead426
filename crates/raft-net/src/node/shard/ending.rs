//! Ends: of a group that cannot go on, of all of them, and of the node.
//!
//! # What this module does not do
//!
//! It does not decide that a group has failed; whoever works on it does.

use raft::GroupId;

use super::Shard;
use crate::Error;
use crate::mailbox::Reply;
use crate::node::apply::Job;
use crate::node::group::Group;

impl Shard {
    pub(super) fn fail(&mut self, id: GroupId, reason: String) {
        let Some(group) = self.groups.remove(&id) else { return };
        self.awake.remove(&id);
        self.gathering.remove(&id);
        self.peers.forget(&group);
        self.workers.jobs.send(Job::Close(id)).ok();
        group.end(&Error::Failed { group: id, reason: reason.clone() });
        self.ended.insert(id, reason);
    }

    pub(super) fn fail_all(&mut self, reason: &str) {
        for id in self.ids() {
            self.fail(id, reason.to_owned());
        }
    }

    /// Begins to end: what is led here is given away first.
    pub(super) fn stop(&mut self, reply: Reply<()>) {
        let patience = u64::from(self.options.config.election_ticks);
        self.stopping = Some((reply, self.ticks + patience));
        for id in self.ids() {
            self.with(id, |group, _, _| {
                if let Some(heir) = group.heir() {
                    // Where it cannot be given away there will be an election.
                    group.raft.transfer(heir).ok();
                }
                Ok(())
            });
        }
    }

    pub(in crate::node) fn is_over(&self) -> bool {
        let Some((_, deadline)) = &self.stopping else { return false };
        let leads = |group: &Group| group.raft.is_leader() && group.heir().is_some();
        self.ticks >= *deadline || !self.groups.values().any(leads)
    }

    pub(in crate::node) fn end(mut self) {
        for (_, group) in std::mem::take(&mut self.groups) {
            group.end(&Error::Stopped);
        }
        let Self { workers, stopping, .. } = self;
        workers.end();
        if let Some((reply, _)) = stopping {
            reply.send(Ok(())).ok();
        }
    }
}
