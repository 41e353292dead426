//! Who the members are, where they are, and how they come and go.
//!
//! # What this module does not do
//!
//! It does not decide whether a change is safe; the protocol does.

use std::time::Duration;

use raft::{Change, ChangeError, Incarnation, NodeId, Way};
use serde_json::json;
use tokio::time::sleep;

use super::{GROUP, ServeError, Server, Settings, in_time};
use crate::http_client::{Content, request};
use crate::{Address, Command};

/// How long a peer is given.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a newcomer has to catch up before it votes.
const CATCH_UP: Duration = Duration::from_mins(1);

/// Entries by which it may be behind then.
const BEHIND_MAX: u64 = 100;

/// A server that is to become a member.
pub(super) struct Newcomer {
    pub(super) id: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) address: Address,
}

/// Refuses to begin a log for a founding member that has had one: its peers know it. With an empty
/// disk it would vote as if it had promised nothing.
pub(super) async fn require_new(settings: &Settings) -> Result<(), ServeError> {
    for address in settings.peers.iter().filter(|(id, _)| **id != settings.id).map(|it| it.1) {
        let reply = request(&address.http(), "GET", "/status", Content::Nothing, PATIENCE).await;
        let Ok(reply) = reply else { continue };
        if reply.body["servers"].get(settings.id.to_string()).is_some() {
            return Err(ServeError::DiskLost { id: settings.id });
        }
    }
    Ok(())
}

impl Server {
    /// Tells the transport where everybody is, as they have said, or as this server was told; and
    /// who is nobody any more.
    pub(super) fn meet(&self) {
        let announced = self.view.servers();
        for peer in self.transport.peers() {
            let is_told = self.settings.peers.contains_key(&peer.id);
            if !is_told && !announced.contains_key(&peer.id) {
                self.transport.remove_peer(peer.id);
            }
        }
        let told = self.settings.peers.iter().filter(|(id, _)| !announced.contains_key(*id));
        for (id, address) in told.chain(&announced) {
            self.transport.set_peer(*id, &address.raft());
        }
    }

    /// Where a server takes requests.
    pub(crate) fn address_of(&self, id: NodeId) -> Option<Address> {
        let announced = self.view.servers().remove(&id);
        announced.or_else(|| self.settings.peers.get(&id).cloned())
    }

    /// Has it replicated where this server is, unless that is so. The leader is asked to, by way of
    /// whoever answers.
    pub(super) async fn announce(&self) {
        let id = self.settings.id;
        let own = &self.settings.peers[&id];
        let Ok(status) = self.node.status(GROUP).await else { return };
        let is_member = status.configuration.incarnation(id) == Some(status.incarnation);
        // A witness does not see what is replicated; who adds it has said where it is.
        let is_member = is_member && self.require_state().is_ok();
        if !is_member || self.view.servers().get(&id) == Some(own) {
            return;
        }
        let Some(leader) = status.status.leader else { return };
        if leader == id {
            self.move_to(id, Some(own.clone())).await.ok();
        } else if let Some(address) = self.address_of(leader) {
            let body = json!({ "id": id.0, "address": own.to_string() });
            // It is tried again in a moment.
            request(&address.http(), "POST", "/announce", Content::Json(&body), PATIENCE)
                .await
                .ok();
        }
    }

    /// Has it replicated where a server is.
    pub(super) async fn move_to(
        &self,
        id: NodeId,
        address: Option<Address>,
    ) -> Result<(), raft_net::Error> {
        self.propose(&Command::Announce { id, address }, None).await.map(drop)
    }

    /// Adds a server: as a learner, and as a voter once it has nearly all of the log. What of this
    /// is done already is not done again.
    pub(super) async fn add(&self, newcomer: Newcomer) -> Result<(), raft_net::Error> {
        let (id, incarnation) = (newcomer.id, newcomer.incarnation);
        if self.teach(newcomer).await? {
            self.change(Change::AddVoter(id, incarnation)).await?;
        }
        Ok(())
    }

    /// Adds servers and removes others by one change, which either happens as a whole or does not.
    /// Newcomers learn first, one after the other. Returns once the new members decide alone.
    pub(super) async fn change_jointly(
        &self,
        add: Vec<Newcomer>,
        remove: &[NodeId],
    ) -> Result<(), raft_net::Error> {
        let mut changes = Vec::new();
        for newcomer in add {
            changes.push(Change::AddVoter(newcomer.id, newcomer.incarnation));
            self.teach(newcomer).await?;
        }
        changes.extend(remove.iter().copied().map(Change::Remove));
        let made = self.node.change(GROUP, changes, Way::Joint);
        done_or_already(in_time(made, raft_net::Error::Uncertain).await.map(drop))?;
        self.wait_until_left().await?;
        for id in remove {
            self.forget(*id).await;
        }
        Ok(())
    }

    /// Makes a server a learner and waits until it has nearly all of the log; true where it is no
    /// voter yet.
    async fn teach(&self, newcomer: Newcomer) -> Result<bool, raft_net::Error> {
        let Newcomer { id, incarnation, address } = newcomer;
        self.move_to(id, Some(address)).await?;
        self.meet();
        let known = self.node.status(GROUP).await?.configuration;
        if known.incarnation(id) != Some(incarnation) {
            self.change(Change::AddLearner(id, incarnation)).await?;
        } else if known.is_voter(id) {
            return Ok(false);
        }
        self.wait_for(id).await.map(|()| true)
    }

    async fn change(&self, change: Change) -> Result<(), raft_net::Error> {
        let made = self.node.change(GROUP, vec![change], Way::Simple);
        in_time(made, raft_net::Error::Uncertain).await.map(drop)
    }

    /// A joint configuration leaves itself once it is committed.
    async fn wait_until_left(&self) -> Result<(), raft_net::Error> {
        let left = async {
            while self.node.status(GROUP).await?.configuration.is_joint() {
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        in_time(left, raft_net::Error::Uncertain).await
    }

    async fn wait_for(&self, id: NodeId) -> Result<(), raft_net::Error> {
        let catch_up = async {
            loop {
                let found = self.node.status(GROUP).await?;
                let progress = found.progress.iter().find(|it| it.id == id);
                let Some(progress) = progress else { return Err(raft_net::Error::Uncertain) };
                if found.status.commit.since(progress.match_index) <= BEHIND_MAX {
                    return Ok(());
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let late = Err(raft_net::Error::Uncertain);
        tokio::time::timeout(CATCH_UP, catch_up).await.unwrap_or(late)
    }

    /// Removes a server, and forgets where it is.
    pub(super) async fn remove(&self, id: NodeId) -> Result<(), raft_net::Error> {
        done_or_already(self.change(Change::Remove(id)).await)?;
        self.forget(id).await;
        Ok(())
    }

    async fn forget(&self, id: NodeId) {
        // A leader that has removed itself leads no more; its address stays, and does no harm.
        self.move_to(id, None).await.ok();
    }
}

/// It may be done by an earlier request, whose answer was lost.
fn done_or_already(outcome: Result<(), raft_net::Error>) -> Result<(), raft_net::Error> {
    match outcome {
        Err(raft_net::Error::Change(ChangeError::DoneAlready)) => Ok(()),
        other => other,
    }
}
