//! A node of Maelstrom's `lin-kv` workload, which speaks JSON lines on stdin and stdout.
//!
//! ```text
//!   {"src":"c1","dest":"n2","body":{"type":"write","msg_id":7,"key":1,"value":5}}
//!        |
//!        v              propose                      raft
//!   n2: a follower --------------------> n1: leads ---------> n1, n2, n3 apply the command
//!        ^                                                             |
//!        '---- {"type":"write_ok","in_reply_to":7}: by n2, which was asked, once it applies it
//! ```
//!
//! Servers speak to each other by the same lines, so that whoever routes them can lose, delay and
//! cut everything. Who is asked answers, when its own copy of the state has the command; a command
//! carries who was asked, and in which life of the process.
//!
//! A read asks for a read index and is answered from the local state, on any server.
//!
//! # What this module does not do
//!
//! It repeats nothing. A command that is lost on its way to the leader ends in a timeout, which
//! says truthfully that nobody knows.

mod node;
mod protocol;
mod state;
mod store;

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use node::Node;
use protocol::Line;

/// Most bytes of a line; a longer one is passed over.
const LINE_MAX: u64 = 8 << 20;

/// Lines that wait for the node; who sends more waits.
const WAITING_MAX: usize = 1_024;

/// How a node runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its log is, so that it survives `kill -9`; in memory where there is no folder.
    pub dir: Option<PathBuf>,
    /// The length of a tick; an election takes 10 to 20 of them.
    pub tick: Duration,
    /// Answer reads from the local state, without asking whether it is current. It shows what
    /// linearizable reads cost, and that a checker notices.
    pub stale_reads: bool,
}

/// Why a node ends before its input does.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeError {
    /// Its log.
    #[error(transparent)]
    Disk(#[from] raft::DiskError),
    /// Its log, as the core reads it.
    #[error(transparent)]
    Storage(#[from] raft::StorageError),
    /// Its core.
    #[error(transparent)]
    Start(#[from] raft::StartError),
    /// Its output.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
    /// What the log holds was written by something else.
    #[error("the log holds a command that is none of this program's: use an empty folder")]
    Command,
    /// The system has no thread left.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// Runs a node until its input ends.
pub fn run(
    input: impl BufRead + Send + 'static,
    output: impl Write,
    options: Options,
) -> Result<(), NodeError> {
    let (sender, lines) = sync_channel(WAITING_MAX);
    let read = move || read_lines(input, &sender);
    thread::Builder::new().name("stdin".to_owned()).spawn(read).map_err(NodeError::Thread)?;
    serve(&lines, output, options)
}

/// Reads lines until there are none. What is no line of the protocol becomes one that says so.
fn read_lines(mut input: impl BufRead, sender: &SyncSender<Line>) {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut limited = (&mut input).take(LINE_MAX);
        match limited.read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let is_cut = bytes.len() as u64 == LINE_MAX && bytes.last() != Some(&b'\n');
        if is_cut && input.skip_until(b'\n').is_err() {
            return;
        }
        let is_blank = bytes.iter().all(u8::is_ascii_whitespace);
        if !is_cut && !is_blank && sender.send(Line::parse(&bytes)).is_err() {
            return;
        }
    }
}

fn serve(lines: &Receiver<Line>, output: impl Write, options: Options) -> Result<(), NodeError> {
    let mut output = io::BufWriter::new(output);
    // Nothing makes sense before the node knows its name.
    while let Ok(line) = lines.recv() {
        if let Some(init) = line.init() {
            let mut node = Node::new(&init, options)?;
            output.write_all(&init.answer())?;
            output.flush()?;
            return node.serve(lines, &mut output);
        }
        output.write_all(&line.refusal(protocol::Code::TemporarilyUnavailable, "no init yet"))?;
        output.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
