//! What a server says of itself.
//!
//! # What this module does not do
//!
//! Numbers that do not fit a JavaScript number, which are names of disks, are text here.

use raft::{Mode, NodeId};
use raft_net::GroupStatus;
use serde_json::{Map, Value, json};

use super::{GROUP, Server};

fn ids(of: &[NodeId]) -> Vec<u64> {
    of.iter().map(|id| id.0).collect()
}

/// Notes of each server whether it is a member for the leader, the one of the latest term where
/// several say that they lead: a server that was removed is told nothing any more, and takes itself
/// for a follower.
pub(super) fn mark_members(all: &mut [Value]) {
    let leaders = all.iter().filter(|it| it["role"] == "leader");
    let Some(leader) = leaders.max_by_key(|it| it["term"].as_u64()) else { return };
    let lists = ["voters", "outgoing", "learners"].map(|name| leader[name].clone());
    let is_member = |id: &Value| lists.iter().filter_map(Value::as_array).any(|it| it.contains(id));
    for it in all {
        it["member"] = is_member(&it["id"]).into();
    }
}

impl Server {
    pub(super) async fn status(&self) -> Result<Value, raft_net::Error> {
        let found = self.node.status(GROUP).await?;
        let GroupStatus { status, configuration, .. } = &found;
        let mut servers = Map::new();
        for (id, address) in self.view.servers() {
            servers.insert(id.to_string(), address.to_string().into());
        }
        let progress: Vec<Value> = found
            .progress
            .iter()
            .map(|it| {
                let mode = match it.mode {
                    Mode::Probe { .. } => "probe",
                    Mode::Replicate => "replicate",
                    Mode::Snapshot { .. } => "snapshot",
                };
                json!({ "id": it.id.0, "match": it.match_index.0, "mode": mode })
            })
            .collect();
        let peers: Vec<Value> = self
            .transport
            .peers()
            .into_iter()
            .map(|it| {
                json!({ "id": it.id.0, "connected": it.is_connected, "dropped": it.dropped,
                        "error": it.error })
            })
            .collect();
        Ok(json!({
            "id": status.id.0,
            "role": format!("{:?}", status.role).to_lowercase(),
            "term": status.term.0,
            "leader": status.leader.map(|id| id.0),
            "first": found.first.0,
            "last": status.last.index.0,
            "last_term": status.last.term.0,
            "stable": status.stable.0,
            "commit": status.commit.0,
            "applied": status.applied.0,
            "snapshot": found.snapshot.0,
            "snapshot_error": found.snapshot_error,
            "log_error": found.log_error,
            "log_errors": status.read_errors,
            "restoring": self.view.is_loading(),
            "incarnation": found.incarnation.to_string(),
            "voters": ids(&configuration.voters),
            "outgoing": ids(&configuration.outgoing),
            "learners": ids(&configuration.learners),
            "witnesses": configuration.members.iter().filter(|(_, disk)| disk.is_witness())
                .map(|(id, _)| id.0).collect::<Vec<_>>(),
            "transfer": status.transfer.map(|id| id.0),
            "servers": servers,
            "progress": progress,
            "peers": peers,
            "stats": self.stats(),
        }))
    }

    fn stats(&self) -> Value {
        let it = self.node.stats();
        json!({
            "proposals": it.proposals, "applied": it.applied, "reads": it.reads,
            "received": it.received, "sent": it.sent, "batches": it.batches,
            "writes": it.writes, "syncs": it.syncs, "sync_nanos": it.sync_nanos,
            "elections": it.elections, "snapshots": it.snapshots, "restores": it.restores,
            "refused": it.refused,
        })
    }
}

#[cfg(test)]
mod tests;
