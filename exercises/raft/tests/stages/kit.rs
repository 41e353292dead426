//! One server, to be talked to by hand.

use bytes::Bytes;
use exercise_raft::exercise::Node;
use exercise_raft::scaffold::{
    Apply, Body, ELECTION_TICKS, Entry, Id, Index, Message, Payload, Position, Ready, Saved, Term,
};

/// Who founds the clusters of these tests.
pub(crate) const THREE: [Id; 3] = [0, 1, 2];

/// A server with a disk, whose wishes are fulfilled at once and noted.
pub(crate) struct Server {
    pub(crate) node: Node,
    pub(crate) disk: Saved,
    pub(crate) applied: Vec<Apply>,
    pub(crate) reads: Vec<u64>,
}

pub(crate) fn command(text: &str) -> Payload {
    Payload::Command(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn entry(term: Term, text: &str) -> Entry {
    Entry { term, payload: command(text) }
}

pub(crate) fn at(term: Term, index: Index) -> Position {
    Position { term, index }
}

/// The disk of a founding member in some term, whose log has entries of these terms.
pub(crate) fn disk(voters: &[Id], term: Term, log: &[Term]) -> Saved {
    let mut saved = Saved::founding(voters);
    saved.term = term;
    for (&term, index) in log.iter().zip(1..) {
        saved.push(entry(term, &format!("entry {index} of term {term}")));
    }
    saved
}

impl Server {
    /// Server 0.
    pub(crate) fn with(disk: Saved) -> Self {
        let node = Node::new(0, disk.clone(), 7);
        Self { node, disk, applied: Vec::new(), reads: Vec::new() }
    }

    /// Does what it wants done; what it says.
    pub(crate) fn run(&mut self) -> Vec<Message> {
        let Ready { save, messages, apply, reads } = self.node.ready();
        if let Some(saved) = save {
            self.disk = saved;
        }
        self.applied.extend(apply);
        self.reads.extend(reads);
        messages
    }

    /// Hears something; what it says.
    pub(crate) fn hear(&mut self, from: Id, term: Term, body: Body) -> Vec<Message> {
        self.node.step(Message { from, to: 0, term, body });
        self.run()
    }

    /// Hears something that it answers, once.
    pub(crate) fn ask(&mut self, from: Id, term: Term, body: Body) -> Message {
        let mut answers = self.hear(from, term, body);
        answers.retain(|it| it.to == from);
        assert_eq!(answers.len(), 1, "it answers server {from} once: {answers:?}");
        answers.remove(0)
    }

    /// Campaigns, and wins by the vote of server 1.
    pub(crate) fn lead(&mut self) -> Term {
        self.lead_by(&[1])
    }

    /// Campaigns, and wins by the votes of servers 1 and 2.
    pub(crate) fn lead_of_five(&mut self) -> Term {
        self.lead_by(&[1, 2])
    }

    fn lead_by(&mut self, voters: &[Id]) -> Term {
        for _ in 0..=2 * ELECTION_TICKS {
            self.node.tick();
            let asks = self.run();
            if asks.iter().any(|it| matches!(it.body, Body::RequestVote { .. })) {
                let term = self.node.term();
                for &from in voters {
                    let body = Body::Vote { granted: true };
                    self.node.step(Message { from, to: 0, term, body });
                }
                assert!(self.node.is_leader(), "a majority has voted for it");
                return term;
            }
        }
        panic!("it does not campaign after twice the election timeout");
    }

    /// Commands that it has applied.
    pub(crate) fn commands(&self) -> Vec<String> {
        let text = |apply: &Apply| match apply {
            Apply::Entry(_, Payload::Command(command)) => {
                Some(String::from_utf8_lossy(command).into_owned())
            }
            _ => None,
        };
        self.applied.iter().filter_map(text).collect()
    }
}

/// The append that a server was sent.
pub(crate) fn append_to(to: Id, messages: &[Message]) -> (Position, Vec<Entry>, Index, u64) {
    let found = messages.iter().rev().find_map(|message| match &message.body {
        Body::Append { prev, entries, commit, round } if message.to == to => {
            Some((*prev, entries.clone(), *commit, *round))
        }
        _ => None,
    });
    found.unwrap_or_else(|| panic!("server {to} gets no entries in {messages:?}"))
}
