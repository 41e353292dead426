//! Clients, each of which has one command on its way, and what they were told.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use env::clock::Timestamp;
use env::random::{Random, SeededRandom};
use raft::{ProposeError, ReadMode};

use super::host::{GROUP, Host};
use crate::Error;

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// From an answer to the next command, at most; nothing where that follows at once.
    pub(super) thought: Duration,
    /// Calls in a thousand that are reads.
    pub(super) reads: u64,
    /// In a thousand times that a call is looked at, it is dropped so often.
    pub(super) drops: u64,
    /// Whether it has no further command.
    pub(super) is_idle: bool,
}

impl Habits {
    /// The next command at once.
    pub(super) const EAGER: Self =
        Self { thought: Duration::ZERO, reads: 0, drops: 0, is_idle: false };

    /// No further command.
    pub(super) const IDLE: Self = Self { is_idle: true, ..Self::EAGER };
}

/// What clients were told.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Commands that were sent.
    sent: u64,
    /// Numbers of commands, and which in the list they are, by their answers.
    pub(super) acked: Vec<(u64, u64)>,
    /// Numbers of commands that will never be applied.
    refused: BTreeSet<u64>,
    /// How long each answered call took.
    pub(super) latencies: Vec<Duration>,
    /// Errors that were seen.
    pub(super) errors: Vec<Error>,
    pub(super) dropped: u64,
    /// Answered reads.
    pub(super) reads: u64,
    /// Most commands that an answer told of.
    known: u64,
}

impl History {
    /// Panics where the list of all commands is another than clients were told.
    pub(super) fn check(&self, list: &[u64]) {
        for (number, length) in &self.acked {
            let at = usize::try_from(*length).expect("it is small");
            assert!(at > 0 && at <= list.len(), "{number} was acknowledged and is lost");
            assert_eq!(list[at - 1], *number, "another command stands at {at}");
        }
        let applied: BTreeSet<_> = list.iter().collect();
        assert_eq!(applied.len(), list.len(), "a command was applied twice");
        let both: Vec<_> = self.refused.iter().filter(|it| applied.contains(it)).collect();
        assert!(both.is_empty(), "{both:?} were refused and applied");
    }

    /// Forgets how long calls took.
    pub(super) fn forget(&mut self) {
        self.latencies.clear();
        self.errors.clear();
    }

    /// The longest that a call took.
    pub(super) fn longest(&self) -> Duration {
        self.latencies.iter().copied().max().unwrap_or_default()
    }
}

/// From a refusal to the next call, at least.
const PAUSE: Duration = Duration::from_millis(1);

type Call = Pin<Box<dyn Future<Output = Result<Bytes, Error>>>>;

/// What a call is, that a client waits for.
enum Asked {
    /// A command of this number.
    Command(u64),
    /// A read, when clients had been told of so many commands.
    Read { known: u64 },
}

/// A client.
pub(super) struct Client {
    pub(super) habits: Habits,
    call: Option<(Call, Asked, Timestamp)>,
    waker: Waker,
    /// Which host it asks.
    target: usize,
}

impl Client {
    pub(super) fn new(habits: Habits, waker: Waker) -> Self {
        Self { habits, call: None, waker, target: 0 }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.call.is_some()
    }

    /// Calls; false where it has nothing to say.
    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        random: &mut SeededRandom,
        hosts: &[Host],
        history: &mut History,
    ) -> bool {
        if self.habits.is_idle || self.is_waiting() {
            return false;
        }
        let node = hosts[self.target].node.clone();
        let (call, asked): (Call, _) = if random.below(1_000) < self.habits.reads {
            let known = history.known;
            (
                Box::pin(async move { node.read(GROUP, Bytes::new(), ReadMode::Quorum).await }),
                Asked::Read { known },
            )
        } else {
            history.sent += 1;
            let number = history.sent;
            let command = Bytes::copy_from_slice(&number.to_le_bytes());
            let call = async move { node.propose(GROUP, command).await };
            (Box::pin(call), Asked::Command(number))
        };
        self.call = Some((call, asked, now));
        true
    }

    /// Looks whether its call is answered; then it gives when it has the next one.
    pub(super) fn poll(
        &mut self,
        now: Timestamp,
        random: &mut SeededRandom,
        hosts: u64,
        history: &mut History,
    ) -> Option<Duration> {
        let (call, ..) = self.call.as_mut()?;
        let answer = call.as_mut().poll(&mut Context::from_waker(&self.waker));
        if answer.is_pending() && random.below(1_000) >= self.habits.drops {
            return None;
        }
        let (call, asked, begun) = self.call.take()?;
        drop(call);
        let pause = if matches!(answer, Poll::Ready(Err(_))) { PAUSE } else { Duration::ZERO };
        match answer {
            Poll::Pending => history.dropped += 1,
            Poll::Ready(answer) => {
                history.latencies.push(now.saturating_since(begun));
                self.take(answer, &asked, random, hosts, history);
            }
        }
        let most = u64::try_from(self.habits.thought.as_nanos()).unwrap_or(u64::MAX);
        Some(pause + Duration::from_nanos(random.below(most + 1)))
    }

    fn take(
        &mut self,
        answer: Result<Bytes, Error>,
        asked: &Asked,
        random: &mut SeededRandom,
        hosts: u64,
        history: &mut History,
    ) {
        let length = |bytes: &Bytes| u64::from_le_bytes(bytes[..].try_into().expect("a number"));
        match (answer, asked) {
            (Ok(bytes), Asked::Command(number)) => {
                history.acked.push((*number, length(&bytes)));
                history.known = history.known.max(length(&bytes));
            }
            (Ok(bytes), Asked::Read { known }) => {
                let found = length(&bytes);
                assert!(found >= *known, "a read found {found} commands, {known} were known");
                history.reads += 1;
                history.known = history.known.max(found);
            }
            (Err(error), asked) => {
                let leader = error.leader().and_then(|id| usize::try_from(id.0).ok());
                self.target = leader.map_or_else(|| below(random, hosts), |id| id - 1);
                if let Asked::Command(number) = asked
                    && is_definite(&error)
                {
                    history.refused.insert(*number);
                }
                history.errors.push(error);
            }
        }
    }
}

fn below(random: &mut SeededRandom, bound: u64) -> usize {
    usize::try_from(random.below(bound)).expect("it is small")
}

/// Whether a command will not be applied.
const fn is_definite(error: &Error) -> bool {
    matches!(
        error,
        Error::Propose(
            ProposeError::NotLeader { .. }
                | ProposeError::Full { .. }
                | ProposeError::Transferring { .. }
        ) | Error::Busy
            | Error::Replaced
            | Error::NoGroup { .. }
    )
}
