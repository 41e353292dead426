//! One register on three replicas, for two clients that may both write: the algorithm of Attiya,
//! Bar-Noy and Dolev, "Sharing memory robustly in message-passing systems", JACM 1995, with the
//! stamps of Lynch and Shvartsman (FTCS 1997) for more than one writer.
//!
//! ```text
//!   read     ask a majority for its newest (stamp, value), store that at a majority, answer
//!   write    ask a majority for its newest stamp, store (a larger one, value) at a majority
//! ```
//!
//! A replica answers a store once the value is durable. The clients' history must be linearizable,
//! and once the faults are over every operation must come to its end.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use env::fs::{Fs, FsError, FsErrorKind, FsExt, OpenMode};
use env::random::{Random, SeededRandom};

use super::{FAULTS, Run, SURVIVED, must_catch};
use crate::check::history::{History, Operation};
use crate::check::linearizable::check;
use crate::check::model::{Register, RegisterOp, RegisterRet};
use crate::sim::{
    Actor, Command, Context, Family, Host, NodeId, Script, SimFs, Swarm, Trace, World, survive,
};

const REPLICAS: u32 = 3;
const CLIENTS: u32 = 2;
const OPERATIONS: u32 = 20;
const FILE: &str = "register";

/// Timers of a client.
const NEXT: u64 = 1;
const RETRY: u64 = 2;

/// What the author of the register got wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    NeverRetries,
    AnswersBeforeSync,
    ForgetsAtRestart,
    ReadsWithoutStoring,
    CountsAnswersTwice,
    AsksOneReplica,
    StoresOlderOverNewer,
    TakesAnswersToOldQuestions,
    StampsWithoutName,
}

/// A number and the client that chose it.
type Stamp = (u64, u32);

#[derive(Clone, Debug)]
enum Message {
    Ask { question: u64 },
    Newest { question: u64, stamp: Stamp, value: u64 },
    Store { question: u64, stamp: Stamp, value: u64 },
    Stored { question: u64 },
}

struct Replica {
    fs: Arc<SimFs>,
    stamp: Stamp,
    value: u64,
    bug: Option<Bug>,
}

impl Replica {
    fn open(fs: Arc<SimFs>, bug: Option<Bug>) -> Result<Self, FsError> {
        let (stamp, value) = match fs.read(Path::new(FILE)) {
            _ if bug == Some(Bug::ForgetsAtRestart) => ((0, 0), 0),
            Ok(bytes) => decode(&bytes),
            Err(error) if error.kind == FsErrorKind::NotFound => ((0, 0), 0),
            Err(error) => return Err(error),
        };
        let replica = Self { fs, stamp, value, bug };
        // What was read may be in the cache only, and the next answer relies on it.
        replica.persist(stamp, value)?;
        Ok(replica)
    }

    fn persist(&self, stamp: Stamp, value: u64) -> Result<(), FsError> {
        let bytes = [stamp.0, u64::from(stamp.1), value].map(u64::to_le_bytes).concat();
        if self.bug == Some(Bug::AnswersBeforeSync) {
            let file = self.fs.open(Path::new(FILE), OpenMode::OPEN_OR_CREATE)?;
            return file.write_all_at(&bytes, 0);
        }
        self.fs.write_atomic(Path::new(FILE), &bytes)
    }

    fn handle(&mut self, from: NodeId, message: &Message, context: &mut Context<'_, Message>) {
        match *message {
            Message::Ask { question } => {
                let (stamp, value) = (self.stamp, self.value);
                context.send(from, Message::Newest { question, stamp, value });
            }
            Message::Store { question, stamp, value } => {
                if stamp > self.stamp || self.bug == Some(Bug::StoresOlderOverNewer) {
                    // Without an answer the client will ask again.
                    let Ok(()) = self.persist(stamp, value) else { return };
                    (self.stamp, self.value) = (stamp, value);
                }
                context.send(from, Message::Stored { question });
            }
            Message::Newest { .. } | Message::Stored { .. } => {}
        }
    }
}

fn decode(bytes: &[u8]) -> (Stamp, u64) {
    let word = |at: usize| bytes.get(at..at + 8).map(|word| word.try_into().expect("eight bytes"));
    let word = |at| word(at).map_or(0, u64::from_le_bytes);
    ((word(0), u32::try_from(word(8)).unwrap_or_default()), word(16))
}

/// What the clients did, and the counter of stamps that orders it.
#[derive(Debug, Default)]
struct Log {
    moment: u64,
    operations: Vec<Operation<RegisterOp, RegisterRet>>,
}

impl Log {
    fn moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

struct Client {
    id: NodeId,
    random: SeededRandom,
    log: Rc<RefCell<Log>>,
    bug: Option<Bug>,
    left: u32,
    question: u64,
    answers: BTreeSet<(NodeId, u64)>,
    newest: (Stamp, u64),
    /// The message that the present phase repeats, and where the operation is in the log.
    current: Option<(Message, usize)>,
}

impl Client {
    fn new(host: Host, log: Rc<RefCell<Log>>, bug: Option<Bug>) -> Self {
        Self {
            id: host.id,
            random: host.random,
            log,
            bug,
            left: OPERATIONS,
            question: 0,
            answers: BTreeSet::new(),
            newest: ((0, 0), 0),
            current: None,
        }
    }

    fn begin(&mut self, context: &mut Context<'_, Message>) {
        self.left -= 1;
        let value = u64::from(self.id.0 * 1_000 + self.left);
        let reads = self.random.below(2) == 0;
        let op = if reads { RegisterOp::Read } else { RegisterOp::Write(value) };
        let mut log = self.log.borrow_mut();
        let moment = log.moment();
        log.operations.push(Operation::pending(self.id.0 as usize, moment, op));
        let operation = log.operations.len() - 1;
        drop(log);
        self.newest = ((0, 0), 0);
        self.ask(|question| Message::Ask { question }, operation, context);
    }

    fn ask(
        &mut self,
        message: impl FnOnce(u64) -> Message,
        operation: usize,
        context: &mut Context<'_, Message>,
    ) {
        self.question += 1;
        self.answers.clear();
        self.current = Some((message(self.question), operation));
        self.broadcast(context);
    }

    fn broadcast(&mut self, context: &mut Context<'_, Message>) {
        let Some((message, _)) = &self.current else { return };
        (1..=REPLICAS).for_each(|id| context.send(NodeId(id), message.clone()));
        if self.bug != Some(Bug::NeverRetries) {
            context.set_timer(RETRY, Duration::from_millis(5));
        }
    }

    fn handle(&mut self, from: NodeId, message: &Message, context: &mut Context<'_, Message>) {
        let Some((current, operation)) = self.current.clone() else { return };
        let asks = matches!(current, Message::Ask { .. });
        let question = match *message {
            Message::Newest { question, stamp, value } if asks => {
                if self.is_answer(question) {
                    self.newest = self.newest.max((stamp, value));
                }
                question
            }
            Message::Stored { question } if !asks => question,
            _ => return,
        };
        if !self.is_answer(question) || !self.is_majority(from) {
            return;
        }
        if asks { self.store(operation, context) } else { self.finish(operation, context) }
    }

    fn is_answer(&self, question: u64) -> bool {
        question == self.question || self.bug == Some(Bug::TakesAnswersToOldQuestions)
    }

    fn is_majority(&mut self, from: NodeId) -> bool {
        let copy = if self.bug == Some(Bug::CountsAnswersTwice) { self.answers.len() } else { 0 };
        self.answers.insert((from, copy as u64));
        let majority = REPLICAS as usize / 2 + 1;
        self.answers.len() >= if self.bug == Some(Bug::AsksOneReplica) { 1 } else { majority }
    }

    fn store(&mut self, operation: usize, context: &mut Context<'_, Message>) {
        let op = self.log.borrow().operations[operation].op;
        let (stamp, value) = match op {
            RegisterOp::Write(value) => {
                let name = if self.bug == Some(Bug::StampsWithoutName) { 0 } else { self.id.0 };
                ((self.newest.0.0 + 1, name), value)
            }
            _ if self.bug == Some(Bug::ReadsWithoutStoring) => {
                return self.finish(operation, context);
            }
            _ => self.newest,
        };
        self.ask(|question| Message::Store { question, stamp, value }, operation, context);
    }

    fn finish(&mut self, operation: usize, context: &mut Context<'_, Message>) {
        let mut log = self.log.borrow_mut();
        let at = log.moment();
        let done = &mut log.operations[operation];
        let ret = match done.op {
            RegisterOp::Read => RegisterRet::Value(self.newest.1),
            _ => RegisterRet::Written,
        };
        *done = Operation::done(done.thread, done.invoked..at, done.op, ret);
        drop(log);
        self.current = None;
        context.cancel_timer(RETRY);
        self.plan(context);
    }

    fn plan(&mut self, context: &mut Context<'_, Message>) {
        if self.left > 0 {
            context.set_timer(NEXT, Duration::from_micros(self.random.below(3_000)));
        }
    }
}

enum Node {
    Replica(Replica),
    Client(Client),
}

impl Actor for Node {
    type Message = Message;

    fn on_start(&mut self, context: &mut Context<'_, Message>) {
        if let Self::Client(client) = self {
            client.plan(context);
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, context: &mut Context<'_, Message>) {
        match self {
            Self::Replica(replica) => replica.handle(from, &message, context),
            Self::Client(client) => client.handle(from, &message, context),
        }
    }

    fn on_timer(&mut self, token: u64, context: &mut Context<'_, Message>) {
        match self {
            Self::Client(client) if token == NEXT => client.begin(context),
            Self::Client(client) => client.broadcast(context),
            Self::Replica(_) => {}
        }
    }
}

type Factory = Box<dyn FnMut(Host) -> Result<Node, FsError>>;

/// Clients live on: what a client that forgets its operation must do is another matter.
pub(super) fn swarm() -> Swarm {
    Swarm { victims: REPLICAS, ..Swarm::new(REPLICAS + CLIENTS, FAULTS) }
}

pub(super) fn traced(seed: u64) -> Trace {
    observe(seed, &swarm().draw(seed), None, World::traced).1
}

pub(super) fn run(seed: u64, script: &Script, bug: Option<Bug>) -> Run {
    observe(seed, script, bug, World::new)
}

fn observe(
    seed: u64,
    script: &Script,
    bug: Option<Bug>,
    world: impl FnOnce(u64, u32, Factory) -> World<Node>,
) -> Run {
    let log = Rc::new(RefCell::new(Log::default()));
    let shared = Rc::clone(&log);
    let start = move |host: Host| {
        if host.id.0 <= REPLICAS {
            Replica::open(host.fs, bug).map(Node::Replica)
        } else {
            Ok(Node::Client(Client::new(host, Rc::clone(&shared), bug)))
        }
    };
    let mut world = world(seed, REPLICAS + CLIENTS, Box::new(start));
    world.play(script);
    world.run_for(FAULTS);
    world.inject(&Command::Recover);
    world.run_for(4 * FAULTS);
    let operations = std::mem::take(&mut log.borrow_mut().operations);
    (verdict(operations), world.trace().clone())
}

fn verdict(operations: Vec<Operation<RegisterOp, RegisterRet>>) -> Result<(), String> {
    let asked = operations.len();
    let done = operations.iter().filter(|operation| operation.response.is_some()).count();
    let verdict = check(&Register(0), &History::from_operations(operations));
    if !verdict.is_linearizable() {
        return Err(verdict.to_string());
    }
    if done < (CLIENTS * OPERATIONS) as usize {
        return Err(format!("only {done} of {asked} operations came to their end"));
    }
    Ok(())
}

#[test]
fn register_survives() {
    survive("sim::tests::register", SURVIVED, &swarm(), |seed, script| run(seed, script, None).0);
}

#[test]
fn planted_bugs_are_caught() {
    for bug in [
        Bug::NeverRetries,
        Bug::AnswersBeforeSync,
        Bug::ReadsWithoutStoring,
        Bug::CountsAnswersTwice,
        Bug::AsksOneReplica,
        Bug::StoresOlderOverNewer,
        Bug::StampsWithoutName,
    ] {
        must_catch(&swarm(), bug, run);
    }
}

/// These need several faults of one kind in a row: an old answer that comes late and its successors
/// later; two replicas that restart. Among all other faults that is rare.
#[test]
fn planted_bugs_that_need_one_kind_of_fault_are_caught() {
    let only = |family| Swarm { families: vec![family], faults_max: 20, ..swarm() };
    must_catch(&only(Family::Links), Bug::TakesAnswersToOldQuestions, run);
    must_catch(&only(Family::Crashes), Bug::ForgetsAtRestart, run);
}
