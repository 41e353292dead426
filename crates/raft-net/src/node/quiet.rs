//! Groups that are left alone: which of them time need not be counted for, and what wakes them.
//!
//! ```text
//!             awake: ticked one by one, heartbeats of its own
//!               |  ^
//!    quiescent, |  | a call, a message, a snapshot: touched, and then looked at again
//!    and all    |  | a peer is silent for `late_ticks`, or back after `gone_ticks`
//!    are heard  v  |
//!             resting: a word of its leader's node stands for its heartbeats
//! ```
//!
//! A resting group costs nothing. Its core is told what time it is when it is touched; see
//! `raft::Raft::pass_time`. Whoever rests relies on words and echoes to come. When they do not, the
//! groups that rely on them are woken well before an election timeout is over, with the silence
//! that was measured; so a dead leader is noticed as soon as by heartbeats of its own, and a
//! leader without a majority steps down as soon.
//!
//! A member whose node is gone for an election timeout keeps nobody awake. When the node speaks
//! again, whoever leads a group that it is in looks after it. A transport has a node that connects
//! speak, by a packet in which nothing is: a newcomer that knows of no configuration would be
//! silent for ever. Of a node that is gone, and with which no group has to do, nothing is kept:
//! anybody can give himself any number of names.
//!
//! # What this module does not do
//!
//! It decides no election and extends no lease: it reports what was heard to the cores that do.

use std::collections::BTreeMap;

use raft::{Config, GroupId, NodeId, Term, quorum};

use super::group::Group;
use super::peer::{Carried, Vouched};
use super::shard::Shard;
use crate::pulse::Pulse;

/// Another node, as this one's groups see it.
#[derive(Debug, Default)]
pub(super) struct Peer {
    vouched: Vouched,
    carried: Carried,
    /// When it last said anything.
    spoke: u64,
    /// Its silence has been noticed, by those who follow it and by those who lead it.
    is_missed: [bool; 2],
    /// It is to be told something in this round.
    is_due: bool,
    /// A word is due, too.
    is_word_due: bool,
}

/// All other nodes.
#[derive(Debug)]
pub(super) struct Peers {
    peers: BTreeMap<NodeId, Peer>,
    /// Which start of this node it is.
    boot: u64,
    beat_ticks: u32,
    /// So much silence wakes those who rely on somebody.
    late_ticks: u32,
    /// Nobody waits for who was silent for so long.
    gone_ticks: u32,
}

fn since(now: u64, then: u64) -> u32 {
    u32::try_from(now.saturating_sub(then)).unwrap_or(u32::MAX)
}

impl Peers {
    pub(super) fn new(config: &Config, boot: u64) -> Self {
        let (beat, election) = (config.heartbeat_ticks, config.election_ticks);
        // A beat may be lost and the next one a tick late.
        let late_ticks = (2 * beat + 1).min(election.saturating_sub(1));
        Self { peers: BTreeMap::new(), boot, beat_ticks: beat, late_ticks, gone_ticks: election }
    }

    /// For how many ticks at most `peer` has been silent to a group in a term: as its leader, or
    /// as one of its followers where this node leads it.
    fn silence(
        &self,
        peer: NodeId,
        group: GroupId,
        term: Term,
        leads: bool,
        now: u64,
    ) -> Option<u32> {
        let peer = self.peers.get(&peer)?;
        let heard =
            if leads { peer.vouched.heard(group, term) } else { peer.carried.heard(group, term) };
        heard.map(|then| since(now, then))
    }

    fn is_gone(&self, peer: NodeId, now: u64) -> bool {
        since(now, self.peers.get(&peer).map_or(0, |it| it.spoke)) >= self.gone_ticks
    }

    /// Lets go of strangers who are gone.
    fn forget_strangers(&mut self, now: u64) {
        let gone_ticks = self.gone_ticks;
        self.peers.retain(|_, peer| since(now, peer.spoke) < gone_ticks || !peer.is_stranger());
    }

    /// How many other nodes something is known of.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.peers.len()
    }

    /// Nobody is to rely on what was said of a group.
    pub(super) fn forget(&mut self, group: &Group) {
        for peer in self.peers.values_mut() {
            peer.vouched.withdraw(group.id);
            peer.carried.refuse(group.id);
        }
    }

    /// Ticks until something is due though nobody is awake.
    pub(super) fn patience(&self, now: u64) -> u32 {
        let beat = self.beat_ticks - since(now, 0) % self.beat_ticks;
        let heard = self.peers.values().flat_map(Peer::heard).flatten();
        let late = heard.map(|then| self.late_ticks.saturating_sub(since(now, then)));
        late.filter(|left| *left > 0).fold(beat, u32::min)
    }

    /// What is to be said now, and to whom.
    pub(super) fn take_pulses(&mut self, now: u64) -> Vec<(NodeId, Pulse)> {
        let pulse = |(id, peer): (&NodeId, &mut Peer)| {
            if !std::mem::take(&mut peer.is_due) {
                return None;
            }
            let is_word_due = std::mem::take(&mut peer.is_word_due);
            let word = if is_word_due { peer.vouched.word(now) } else { None };
            let echo = peer.carried.echo();
            let has_news = word.is_some() || echo.is_some();
            has_news.then_some((*id, Pulse { boot: self.boot, word, echo }))
        };
        self.peers.iter_mut().filter_map(pulse).collect()
    }
}

impl Peer {
    /// When it was last heard as a leader, and as a follower, where anybody relies on that.
    fn heard(&self) -> [Option<u64>; 2] {
        [self.carried.last_heard(), self.vouched.last_heard()]
    }

    /// Whether it leads no group that is carried here, and never followed one. What it was said to
    /// refuse, where it is no stranger, it says again.
    fn is_stranger(&self) -> bool {
        self.vouched.is_new() && self.carried.is_empty()
    }
}

impl Group {
    /// Tells the core what time it is, and who was heard meanwhile.
    pub(super) fn pass_time(&mut self, now: u64, peers: &Peers) {
        let ticks = since(now, self.as_of);
        self.as_of = now;
        let (id, leads) = (self.id, self.raft.is_leader());
        let term = self.raft.hard_state().term;
        self.raft.pass_time(ticks, |peer| peers.silence(peer, id, term, leads, now));
    }

    /// Whether a word of `leader` that it leads in `term` stands for a heartbeat.
    fn follows(&self, leader: NodeId, term: Term) -> bool {
        self.raft.leader() == Some(leader) && self.raft.hard_state().term == term
    }

    /// Whether it is led here, and a node is a member.
    fn replicates_to(&self, node: NodeId) -> bool {
        self.raft.is_leader() && self.raft.progress().iter().any(|it| it.id == node)
    }

    /// Says what is to be said of the group, takes back what is no longer true, and tells whether
    /// it can rest.
    pub(super) fn settle(&mut self, now: u64, peers: &mut Peers) -> bool {
        let (id, term) = (self.id, self.raft.hard_state().term);
        if self.raft.is_leader() {
            return self.settle_leader(term, now, peers);
        }
        if self.vouched.take().is_some() {
            peers.peers.values_mut().for_each(|peer| peer.vouched.withdraw(id));
        }
        let Some((leader, in_term)) = self.carried else { return false };
        if !self.follows(leader, in_term) {
            self.carried = None;
            if let Some(peer) = peers.peers.get_mut(&leader) {
                peer.carried.refuse(id);
            }
            return false;
        }
        let silence = peers.silence(leader, id, term, false, now);
        silence.is_some_and(|it| it < peers.late_ticks) && self.raft.is_quiescent(|_| false)
    }

    fn settle_leader(&mut self, term: Term, now: u64, peers: &mut Peers) -> bool {
        if !self.raft.is_quiescent(|peer| peers.is_gone(peer, now)) {
            return false;
        }
        let id = self.id;
        let mut all_heard = true;
        for member in self.raft.progress() {
            let silence = peers.silence(member.id, id, term, true, now);
            let is_heard = silence.is_some_and(|it| it < peers.late_ticks);
            if !is_heard && !peers.is_gone(member.id, now) {
                all_heard = false;
                self.vouched = Some(term);
                peers.peers.entry(member.id).or_default().vouched.vouch(id, term);
            }
        }
        let heard = |voter| {
            let silence = peers.silence(voter, id, term, true, now);
            voter == self.raft.id() || silence.is_some_and(|it| it < peers.late_ticks)
        };
        let it = self.raft.configuration();
        let vote = |voter| u64::from(heard(voter));
        all_heard && quorum::reached_jointly(&it.voters, &it.outgoing, vote) > 0
    }
}

impl Shard {
    /// A peer has said something.
    pub(super) fn hear(&mut self, from: NodeId, pulse: Option<Pulse>) {
        let now = self.ticks;
        let was_gone = self.peers.is_gone(from, now);
        self.peers.peers.entry(from).or_default().spoke = now;
        if was_gone {
            let with_it = self.groups.values().filter(|group| group.replicates_to(from));
            let led: Vec<_> = with_it.map(|group| group.id).collect();
            self.wake(led);
        }
        let Some(Pulse { boot, word, echo }) = pulse else { return };
        let own_boot = self.peers.boot;
        let Some(peer) = self.peers.peers.get_mut(&from) else { return };
        if let Some(echo) = echo.filter(|echo| echo.boot == own_boot) {
            for id in peer.vouched.answered(&echo) {
                self.with(id, |group, _, _| {
                    group.raft.unsettle(from);
                    Ok(())
                });
            }
        }
        let Some(peer) = self.peers.peers.get_mut(&from) else { return };
        let Some(word) = word else { return };
        let groups = &self.groups;
        let agrees = |id, term| groups.get(&id).is_some_and(|group| group.follows(from, term));
        peer.is_due = true;
        for id in peer.carried.take(boot, &word, now, agrees) {
            self.with(id, |_, _, _| Ok(()));
            let peer = &self.peers.peers[&from];
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let term = group.raft.hard_state().term;
            if peer.carried.heard(id, term).is_some() {
                group.carried = Some((from, term));
            } else if group.carried.is_some_and(|(leader, _)| leader == from) {
                group.carried = None;
            }
        }
    }

    /// A tick has passed: words may be due, and somebody may be missed.
    pub(super) fn look_around(&mut self) {
        let now = self.ticks;
        let (late_ticks, beat_ticks) = (self.peers.late_ticks, u64::from(self.peers.beat_ticks));
        self.peers.forget_strangers(now);
        let mut woken = Vec::new();
        for peer in self.peers.peers.values_mut() {
            if now.is_multiple_of(beat_ticks) {
                (peer.is_due, peer.is_word_due) = (true, true);
            }
            let late = peer.heard().map(|it| it.is_some_and(|then| since(now, then) >= late_ticks));
            if late[0] && !peer.is_missed[0] {
                woken.extend(peer.carried.groups());
            }
            if late[1] && !peer.is_missed[1] {
                woken.extend(peer.vouched.groups());
            }
            peer.is_missed = late;
        }
        self.wake(woken);
    }

    /// Looks at groups anew.
    fn wake(&mut self, ids: Vec<GroupId>) {
        for id in ids {
            self.with(id, |_, _, _| Ok(()));
        }
    }
}
