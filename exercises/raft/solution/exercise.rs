//! The teaching solution: each stage as short as it can honestly be.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::scaffold::{
    Apply, Body, Dice, ELECTION_TICKS, Entry, HEARTBEAT_TICKS, Id, Index, Message, Payload, Peer,
    Position, Ready, Saved, Snapshot, Term,
};

/// One server of a cluster.
#[derive(Debug)]
pub struct Node {
    id: Id,
    saved: Saved,
    /// `saved` has changed since it was last handed out.
    is_news: bool,
    role: Role,
    /// Who leads this term, as far as it has heard.
    leader: Option<Id>,
    /// Ticks since it heard of that one, voted, or campaigned; of a leader, since it spoke.
    quiet: u32,
    timeout: u32,
    dice: Dice,
    commit: Index,
    applied: Index,
    messages: Vec<Message>,
}

/// What belongs to a role is forgotten with it.
#[derive(Debug)]
enum Role {
    Follower,
    /// Who has voted for it.
    Candidate(BTreeSet<Id>),
    Leader(Leader),
}

#[derive(Debug, Default)]
struct Leader {
    /// The entry that it began with.
    first: Index,
    /// All other voters.
    peers: BTreeMap<Id, Peer>,
    /// There is something to be sent.
    has_news: bool,
    /// The last question "am I still the leader?", which every message asks.
    round: u64,
    /// Reads with what they wait for: an index and a round.
    reads: Vec<(u64, Index, u64)>,
    /// The last round that a majority has answered, and ticks since that was a new one.
    confirmed: u64,
    doubt: u32,
}

impl Leader {
    /// The largest number that a majority of the voters has reached.
    fn reached(&self, saved: &Saved, id: Id, own: u64, number: impl Fn(&Peer) -> u64) -> u64 {
        let of = |it: &Id| if *it == id { own } else { self.peers.get(it).map_or(0, &number) };
        let mut numbers: Vec<u64> = saved.voters().1.iter().map(of).collect();
        numbers.sort_unstable();
        numbers[(numbers.len() - 1) / 2]
    }
}

impl Node {
    /// A server that has just started, with what it saved last. The seed differs from server to
    /// server and from start to start.
    pub fn new(id: Id, saved: Saved, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            id,
            commit: saved.snapshot().position.index,
            saved,
            is_news: false,
            role: Role::Follower,
            leader: None,
            quiet: 0,
            timeout: dice.timeout(),
            dice,
            applied: 0,
            messages: Vec::new(),
        }
    }

    /// Stage 1: whether it leads its term.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Stage 1: its term.
    pub fn term(&self) -> Term {
        self.saved.term
    }

    /// Stage 1: time passes.
    pub fn tick(&mut self) {
        self.quiet += 1;
        if let Role::Leader(leader) = &mut self.role {
            leader.has_news |= self.quiet >= HEARTBEAT_TICKS;
            leader.doubt += 1;
            if leader.doubt > ELECTION_TICKS {
                // A majority is silent, and may have another leader.
                self.follow(self.saved.term, None);
            }
        } else if self.quiet >= self.timeout && self.saved.voters().1.contains(&self.id) {
            self.campaign();
        }
    }

    fn campaign(&mut self) {
        self.follow(self.saved.term + 1, None);
        self.saved.vote = Some(self.id);
        self.role = Role::Candidate(BTreeSet::new());
        for to in self.saved.voters().1.to_vec() {
            if to != self.id {
                self.send(to, Body::RequestVote { last: self.saved.last() });
            }
        }
        self.count_vote(self.id);
    }

    fn count_vote(&mut self, from: Id) {
        let voters = self.saved.voters().1;
        let Role::Candidate(votes) = &mut self.role else { return };
        votes.insert(from);
        if voters.iter().filter(|it| votes.contains(it)).count() > voters.len() / 2 {
            self.lead();
        }
    }

    fn lead(&mut self) {
        let first = self.saved.last().index + 1;
        self.role = Role::Leader(Leader { first, ..Leader::default() });
        self.leader = Some(self.id);
        // What is of earlier terms can be committed only with an entry of this one (§5.4.2).
        self.append(Payload::Noop);
    }

    /// Follows, in this term or a later one.
    fn follow(&mut self, term: Term, leader: Option<Id>) {
        if term > self.saved.term {
            (self.saved.term, self.saved.vote, self.is_news) = (term, None, true);
        }
        (self.role, self.leader, self.quiet) = (Role::Follower, leader, 0);
        self.timeout = self.dice.timeout();
    }

    /// Stage 1: a message has come.
    pub fn step(&mut self, message: Message) {
        let Message { from, term, body, .. } = message;
        // While a leader is near nobody is to be elected (§6).
        let is_led = self.is_leader() || self.leader.is_some() && self.quiet < ELECTION_TICKS;
        if matches!(body, Body::RequestVote { .. }) && is_led {
            return;
        }
        if term > self.saved.term {
            self.follow(term, None);
        }
        let is_old = term < self.saved.term;
        match body {
            Body::RequestVote { last } => self.on_request(from, last, is_old),
            Body::Append { round, .. } | Body::Install { round, .. } if is_old => {
                // It learns that its term is over.
                self.send(from, Body::Rejected { hint: Position::default(), round });
            }
            _ if is_old => {}
            Body::Vote { granted: true } => self.count_vote(from),
            Body::Vote { granted: false } => {}
            Body::Append { prev, entries, commit, round } => {
                self.follow(term, Some(from));
                let body = self.on_append(prev, entries, commit, round);
                self.send(from, body);
            }
            Body::Install { snapshot, round } => {
                self.follow(term, Some(from));
                let matched = self.on_snapshot(snapshot);
                self.send(from, Body::Accepted { matched, round });
            }
            Body::Accepted { matched, round } => {
                self.on_answer(from, round, |peer, _| {
                    peer.matched = peer.matched.max(matched);
                    peer.next = peer.matched + 1;
                });
                self.advance();
            }
            Body::Rejected { hint, round } => self.on_answer(from, round, |peer, saved| {
                let hint = last_possible_match(saved, hint);
                peer.next = (hint.index + 1).clamp(peer.matched + 1, peer.next);
            }),
        }
    }

    fn on_request(&mut self, from: Id, last: Position, is_old: bool) {
        let is_free = self.saved.vote.is_none_or(|vote| vote == from);
        let granted = !is_old && is_free && last >= self.saved.last();
        if granted {
            (self.saved.vote, self.is_news, self.quiet) = (Some(from), true, 0);
        }
        self.send(from, Body::Vote { granted });
    }

    fn on_append(
        &mut self,
        prev: Position,
        entries: Vec<Entry>,
        commit: Index,
        round: u64,
    ) -> Body {
        // What is committed here is the same there.
        if prev.index > self.commit && self.saved.term_at(prev.index) != Some(prev.term) {
            return Body::Rejected { hint: last_possible_match(&self.saved, prev), round };
        }
        let matched = prev.index + entries.len() as u64;
        for (index, entry) in (prev.index + 1..).zip(entries) {
            if index <= self.commit || self.saved.term_at(index) == Some(entry.term) {
                continue;
            }
            if index <= self.saved.last().index {
                self.saved.cut(index);
            }
            self.saved.push(entry);
            self.is_news = true;
        }
        // Not beyond what this message has shown to match.
        self.commit = self.commit.max(commit.min(matched));
        Body::Accepted { matched, round }
    }

    /// How far the log is then the leader's.
    fn on_snapshot(&mut self, snapshot: Snapshot) -> Index {
        let Position { term, index } = snapshot.position;
        if index > self.commit {
            self.commit = index;
            if self.saved.term_at(index) != Some(term) {
                self.saved.install(snapshot);
                self.is_news = true;
            }
        }
        index
    }

    /// A follower has answered a round; what else that says, `note` knows.
    fn on_answer(&mut self, from: Id, round: u64, note: impl FnOnce(&mut Peer, &Saved)) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(peer) = leader.peers.get_mut(&from) else { return };
        peer.round = peer.round.max(round);
        note(peer, &self.saved);
        leader.has_news |= peer.next <= self.saved.last().index;
        let confirmed = leader.reached(&self.saved, self.id, leader.round, |peer| peer.round);
        if confirmed > leader.confirmed {
            (leader.confirmed, leader.doubt) = (confirmed, 0);
        }
    }

    /// Commits what a majority has, if it is of this term (§5.4.2, figure 8).
    fn advance(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        let own = self.saved.last().index;
        let matched = leader.reached(&self.saved, self.id, own, |peer| peer.matched);
        if matched > self.commit && self.saved.term_at(matched) == Some(self.saved.term) {
            self.commit = matched;
            leader.has_news = true;
            let (index, voters) = self.saved.voters();
            if index <= matched && !voters.contains(&self.id) {
                self.follow(self.saved.term, None);
            }
        }
    }

    /// As leader, appends an entry.
    fn append(&mut self, payload: Payload) -> Index {
        self.saved.push(Entry { term: self.saved.term, payload });
        self.is_news = true;
        let next = self.saved.last().index;
        if let Role::Leader(leader) = &mut self.role {
            leader.has_news = true;
            let others = self.saved.voters().1.iter().filter(|it| **it != self.id);
            let new = Peer { next, matched: 0, round: 0 };
            let peer = |id: &Id| (*id, leader.peers.get(id).copied().unwrap_or(new));
            leader.peers = others.map(peer).collect();
        }
        self.advance();
        next
    }

    /// Stage 2: a leader takes a command; where it will be in the log. `None` where it does not
    /// lead.
    pub fn propose(&mut self, command: Bytes) -> Option<Index> {
        self.is_leader().then(|| self.append(Payload::Command(command)))
    }

    /// Stage 5: puts a snapshot in the place of the log up to `index`, which was applied.
    pub fn compact(&mut self, index: Index, state: Bytes) {
        if index > self.saved.snapshot().position.index {
            self.saved.compact(index, state);
            self.is_news = true;
        }
    }

    /// Stage 6: a leader takes a read; false where it does not lead. `ready` says when it may be
    /// answered, or it never does, where the leadership is lost.
    pub fn read(&mut self, read: u64) -> bool {
        let Role::Leader(leader) = &mut self.role else { return false };
        // Before its first entry is committed a leader does not know what is.
        let index = self.commit.max(leader.first);
        leader.reads.push((read, index, leader.round + 1));
        leader.has_news = true;
        true
    }

    /// Stage 7: a leader proposes other voters, one more or one fewer; false where it may not.
    pub fn change(&mut self, voters: &[Id]) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let (index, now) = self.saved.voters();
        let apart = |a: &[Id], b: &[Id]| a.iter().filter(|it| !b.contains(it)).count();
        let is_one = apart(now, voters) + apart(voters, now) == 1;
        let may = is_one && self.commit >= leader.first && index <= self.commit;
        if may {
            self.append(Payload::Voters(voters.to_vec()));
        }
        may
    }

    fn send(&mut self, to: Id, body: Body) {
        self.messages.push(Message { from: self.id, to, term: self.saved.term, body });
    }

    /// As leader, sends each follower what it has not.
    fn speak(&mut self) {
        let Role::Leader(leader) = &mut self.role else { return };
        if !std::mem::take(&mut leader.has_news) {
            return;
        }
        leader.round += 1;
        let (round, commit, term) = (leader.round, self.commit, self.saved.term);
        self.quiet = 0;
        for (&to, peer) in &leader.peers {
            let index = peer.next - 1;
            let body = match self.saved.term_at(index) {
                Some(term) => {
                    let (prev, entries) = (Position { term, index }, self.saved.from(peer.next));
                    Body::Append { prev, entries, commit, round }
                }
                None => Body::Install { snapshot: self.saved.snapshot().clone(), round },
            };
            self.messages.push(Message { from: self.id, to, term, body });
        }
        if leader.peers.is_empty() {
            (leader.confirmed, leader.doubt) = (round, 0);
        }
    }

    /// Stage 1: what is to be done since the last call.
    pub fn ready(&mut self) -> Ready {
        self.speak();
        let save = std::mem::take(&mut self.is_news).then(|| self.saved.clone());
        let mut apply = Vec::new();
        let snapshot = self.saved.snapshot();
        if self.applied < snapshot.position.index {
            self.applied = snapshot.position.index;
            apply.push(Apply::Snapshot(snapshot.clone()));
        }
        while self.applied < self.commit {
            self.applied += 1;
            let entry = self.saved.entry(self.applied).expect("it is behind the snapshot");
            apply.push(Apply::Entry(self.applied, entry.payload.clone()));
        }
        let mut reads = Vec::new();
        if let Role::Leader(leader) = &mut self.role {
            let is_due =
                |it: &mut (u64, Index, u64)| it.1 <= self.applied && it.2 <= leader.confirmed;
            reads.extend(leader.reads.extract_if(.., is_due).map(|it| it.0));
        }
        Ready { save, messages: std::mem::take(&mut self.messages), apply, reads }
    }
}

/// The last entry at or before `from` whose term is not above that of `from`: behind it two logs
/// of which one has `from` cannot be the same.
fn last_possible_match(saved: &Saved, from: Position) -> Position {
    let mut index = from.index.min(saved.last().index);
    loop {
        match saved.term_at(index) {
            Some(term) if term > from.term => index -= 1,
            Some(term) => return Position { term, index },
            // Compacted, and so committed, and so the same in both logs.
            None => return Position { term: from.term, index },
        }
    }
}
