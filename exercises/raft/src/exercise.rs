//! Your server. This is the only file that you edit; `cargo study` judges it, stage by stage.
//!
//! It has no clock, no network and no disk: ticks and messages come in, and `ready` says what is to
//! be done. What is no stage's point is in `scaffold.rs` and beneath it, ready to be used; the
//! figures and sections are those of the paper (Ongaro and Ousterhout, 2014, extended version).

use bytes::Bytes;

use crate::scaffold::{Id, Index, Message, Ready, Saved, Term};
use crate::stage;

/// One server of a cluster.
#[derive(Debug)]
pub struct Node;

impl Node {
    /// A server that has just started, with what it saved last. The seed differs from server to
    /// server and from start to start.
    pub fn new(_id: Id, _saved: Saved, _seed: u64) -> Self {
        stage!(1, "begin as a follower")
    }

    /// Stage 1: whether it leads its term.
    pub fn is_leader(&self) -> bool {
        stage!(1, "say whether it leads")
    }

    /// Stage 1: its term.
    pub fn term(&self) -> Term {
        stage!(1, "say in which term it is")
    }

    /// Stage 1: time passes.
    pub fn tick(&mut self) {
        stage!(1, "campaign when it was quiet for too long; as leader, speak now and then")
    }

    /// Stage 1: a message has come.
    pub fn step(&mut self, _message: Message) {
        stage!(1, "join later terms; vote; count votes; hear a leader")
    }

    /// Stage 1: what is to be done since the last call.
    pub fn ready(&mut self) -> Ready {
        stage!(1, "hand out what is to be saved and sent")
    }

    /// Stage 2: a leader takes a command; where it will be in the log. `None` where it does not
    /// lead.
    pub fn propose(&mut self, _command: Bytes) -> Option<Index> {
        stage!(2, "append the command; followers get it, and what a majority has is applied")
    }

    /// Stage 5: puts a snapshot in the place of the log up to `index`, which was applied.
    pub fn compact(&mut self, _index: Index, _state: Bytes) {
        stage!(5, "replace the beginning of the log; send it to followers that need it")
    }

    /// Stage 6: a leader takes a read; false where it does not lead. `ready` says when it may be
    /// answered, or it never does, where the leadership is lost.
    pub fn read(&mut self, _read: u64) -> bool {
        stage!(6, "answer it when it is certain that nobody else leads, and that enough is applied")
    }

    /// Stage 7: a leader proposes other voters, one more or one fewer; false where it may not.
    pub fn change(&mut self, _voters: &[Id]) -> bool {
        stage!(7, "append the new voters, which count from then on")
    }
}
