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
    pub(super) async fn add(
        &self,
        id: NodeId,
        incarnation: Incarnation,
        address: Address,
    ) -> Result<(), raft_net::Error> {
        self.move_to(id, Some(address)).await?;
        self.meet();
        let known = self.node.status(GROUP).await?.configuration;
        if known.incarnation(id) != Some(incarnation) {
            self.change(Change::AddLearner(id, incarnation)).await?;
        } else if known.is_voter(id) {
            return Ok(());
        }
        self.wait_for(id).await?;
        self.change(Change::AddVoter(id, incarnation)).await
    }

    async fn change(&self, change: Change) -> Result<(), raft_net::Error> {
        let made = self.node.change(GROUP, vec![change], Way::Simple);
        in_time(made, raft_net::Error::Uncertain).await.map(drop)
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
        match self.change(Change::Remove(id)).await {
            // By an earlier request, whose answer was lost.
            Err(raft_net::Error::Change(ChangeError::DoneAlready)) => {}
            other => other?,
        }
        // A leader that has removed itself leads no more; its address stays, and does no harm.
        self.move_to(id, None).await.ok();
        Ok(())
    }
}
