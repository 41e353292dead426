//! A client: one request at a time, asked again until it is answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use env::random::{Random, SeededRandom};
use harness::check::history::Operation;
use harness::check::model::{RegisterOp, RegisterRet};
use harness::sim::{Context, Host, NodeId};

use super::Plan;
use super::machine::RequestId;
use super::server::Wire;

const NEXT: u64 = 1;
const RETRY: u64 = 2;

/// What the clients did, and the counter of stamps that orders it.
#[derive(Debug, Default)]
pub(super) struct Log {
    moment: u64,
    pub(super) operations: Vec<Operation<RegisterOp, RegisterRet>>,
}

impl Log {
    fn moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

#[derive(Debug)]
pub(super) struct Client {
    id: NodeId,
    servers: u32,
    operations: u32,
    /// Most time between two requests, and how long it waits before it asks again.
    think: u64,
    patience: Duration,
    random: SeededRandom,
    log: Rc<RefCell<Log>>,
    sent: u32,
    /// The request that has no answer, and where it is in the log.
    current: Option<(RequestId, RegisterOp, usize)>,
}

impl Client {
    pub(super) fn new(host: Host, plan: &Plan, log: Rc<RefCell<Log>>) -> Self {
        let (think, patience) = if plan.duels.is_some() { (1_500, 3) } else { (15_000, 15) };
        Self {
            id: host.id,
            servers: plan.servers,
            operations: plan.operations(),
            think,
            patience: Duration::from_millis(patience),
            random: host.random,
            log,
            sent: 0,
            current: None,
        }
    }

    pub(super) fn plan(&mut self, context: &mut Context<'_, Wire>) {
        if self.sent < self.operations {
            context.set_timer(NEXT, Duration::from_micros(self.random.below(self.think)));
        }
    }

    pub(super) fn on_timer(&mut self, token: u64, context: &mut Context<'_, Wire>) {
        if token == NEXT {
            self.begin();
        }
        self.ask(context);
    }

    fn begin(&mut self) {
        self.sent += 1;
        let value = u64::from(self.id.0) * 1_000 + u64::from(self.sent);
        let op = match self.random.below(5) {
            0 | 1 => RegisterOp::Write(value),
            2 => RegisterOp::CompareExchange { current: value - 1, new: value },
            _ => RegisterOp::Read,
        };
        let mut log = self.log.borrow_mut();
        let moment = log.moment();
        log.operations.push(Operation::pending(self.id.0 as usize, moment, op));
        self.current = Some(((self.id.0, self.sent), op, log.operations.len() - 1));
    }

    /// Asks some servers: one of them may lead.
    fn ask(&mut self, context: &mut Context<'_, Wire>) {
        let Some((id, op, _)) = self.current else { return };
        for server in 1..=self.servers {
            if self.random.below(3) > 0 {
                context.send(NodeId(server), Wire::Request { id, op });
            }
        }
        context.set_timer(RETRY, self.patience);
    }

    pub(super) fn on_message(&mut self, wire: &Wire, context: &mut Context<'_, Wire>) {
        let Wire::Reply { id, ret } = *wire else { return };
        let Some((current, _, at)) = self.current else { return };
        if id != current {
            return;
        }
        let mut log = self.log.borrow_mut();
        let moment = log.moment();
        let done = &mut log.operations[at];
        *done = Operation::done(done.thread, done.invoked..moment, done.op, ret);
        drop(log);
        self.current = None;
        context.cancel_timer(RETRY);
        self.plan(context);
    }
}
