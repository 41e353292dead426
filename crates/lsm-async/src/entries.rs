//! A range of entries, piece by piece.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use lsm::{Error, Iter, Result};
use tokio::task::{JoinHandle, spawn_blocking};

/// So many entries are read at a time, at most.
const ENTRIES_MAX: usize = 256;
/// And so many bytes, before one more.
const BYTES_MAX: usize = 64 << 10;

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// The entries of a range, in the order of their keys, of the moment at which it was asked for.
///
/// It is a [`Stream`] and has [`Entries::next`] for programs without helpers for streams. After an
/// error it ends. It reads no more than one piece ahead, so that to drop it costs one piece.
#[derive(Debug)]
pub struct Entries {
    ready: VecDeque<Entry>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Waiting(Option<Box<Iter>>),
    Reading(JoinHandle<Piece>),
    /// What comes behind the entries that are ready.
    Failed(Error),
    Done,
}

/// What was read, and the iterator where there may be more.
type Piece = (Vec<Entry>, Result<Option<Box<Iter>>>);

impl Entries {
    pub(crate) fn new(iter: Iter) -> Self {
        Self { ready: VecDeque::new(), source: Source::Waiting(Some(Box::new(iter))) }
    }

    /// The next entry; `None` behind the last. Dropped before it is ready, it loses none.
    pub async fn next(&mut self) -> Result<Option<Entry>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }
}

fn read(mut iter: Box<Iter>) -> Piece {
    let (mut piece, mut bytes) = (Vec::new(), 0);
    while piece.len() < ENTRIES_MAX && bytes < BYTES_MAX {
        match iter.next() {
            None => return (piece, Ok(None)),
            Some(Err(cause)) => return (piece, Err(cause)),
            Some(Ok(entry)) => {
                bytes += entry.0.len() + entry.1.len();
                piece.push(entry);
            }
        }
    }
    (piece, Ok(Some(iter)))
}

impl Stream for Entries {
    type Item = Result<Entry>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(entry)));
            }
            match &mut self.source {
                Source::Done => return Poll::Ready(None),
                Source::Failed(cause) => {
                    let cause = cause.clone();
                    self.source = Source::Done;
                    return Poll::Ready(Some(Err(cause)));
                }
                Source::Waiting(iter) => {
                    let Some(iter) = iter.take() else { return Poll::Ready(None) };
                    self.source = Source::Reading(spawn_blocking(move || read(iter)));
                }
                Source::Reading(reading) => {
                    let outcome = ready!(Pin::new(reading).poll(context));
                    let (piece, rest) = outcome.unwrap_or_else(|_| {
                        let cause = "the runtime is shutting down, or a merge operator panicked";
                        (Vec::new(), Err(Error::Stopped(cause.to_owned())))
                    });
                    self.ready = piece.into();
                    self.source = match rest {
                        Ok(None) => Source::Done,
                        Ok(more) => Source::Waiting(more),
                        Err(cause) => Source::Failed(cause),
                    };
                }
            }
        }
    }
}
