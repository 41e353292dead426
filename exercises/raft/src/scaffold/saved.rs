//! What must survive a crash: term, vote, snapshot and log (figure 2, "persistent state").
//!
//! ```text
//!   snapshot          log
//!   ...... position | position + 1 | ... | last
//! ```

use bytes::Bytes;

use super::{Entry, Id, Index, Payload, Position, Term};

/// The state up to an entry, in the place of all entries up to there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that it stands for.
    pub position: Position,
    /// Who voted there.
    pub voters: Vec<Id>,
    /// The state machine's.
    pub state: Bytes,
}

/// What must survive a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The present term.
    pub term: Term,
    /// Whom it voted for in this term.
    pub vote: Option<Id>,
    snapshot: Snapshot,
    log: Vec<Entry>,
    /// Each change of the voters that is in the log.
    changes: Vec<(Index, Vec<Id>)>,
}

impl Saved {
    /// What a founding member of a cluster begins with. Whoever joins later begins with nothing:
    /// `Saved::default()`.
    pub fn founding(voters: &[Id]) -> Self {
        let snapshot = Snapshot { voters: voters.to_vec(), ..Snapshot::default() };
        Self { snapshot, ..Self::default() }
    }

    /// The snapshot. At index 0 it is of nothing.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The last entry, or that of the snapshot.
    pub fn last(&self) -> Position {
        let index = self.snapshot.position.index + self.log.len() as u64;
        self.log.last().map_or(self.snapshot.position, |it| Position { term: it.term, index })
    }

    /// The term of an entry; `None` where it is compacted, or not there.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.snapshot.position.index {
            return Some(self.snapshot.position.term);
        }
        self.log.get(self.place(index)?).map(|it| it.term)
    }

    /// The entry of an index; `None` where it is compacted, or not there.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.log.get(self.place(index)?)
    }

    /// All entries from an index on, which must be behind the snapshot.
    pub fn from(&self, index: Index) -> Vec<Entry> {
        self.place(index).and_then(|it| self.log.get(it..)).unwrap_or_default().to_vec()
    }

    /// Puts an entry at the end.
    pub fn push(&mut self, entry: Entry) {
        if let Payload::Voters(voters) = &entry.payload {
            self.changes.push((self.last().index + 1, voters.clone()));
        }
        self.log.push(entry);
    }

    /// Removes an entry and all behind it.
    pub fn cut(&mut self, index: Index) {
        let place = self.place(index).expect("what is compacted is committed, and stays");
        self.log.truncate(place);
        self.changes.retain(|it| it.0 < index);
    }

    /// Who votes by the last entry that says so, committed or not, and which entry that is (§6).
    pub fn voters(&self) -> (Index, &[Id]) {
        let last = self.changes.last().map(|it| (it.0, &it.1[..]));
        last.unwrap_or((self.snapshot.position.index, &self.snapshot.voters))
    }

    /// Makes a snapshot of the state up to an entry of the log, which loses all up to there.
    pub fn compact(&mut self, index: Index, state: Bytes) {
        let term = self.term_at(index).expect("the entry is there");
        let before = self.changes.iter().rfind(|it| it.0 <= index).map(|it| it.1.clone());
        let voters = before.unwrap_or_else(|| self.snapshot.voters.clone());
        let gone = self.place(index).map_or(0, |it| it + 1);
        self.log.drain(..gone);
        self.changes.retain(|it| it.0 > index);
        self.snapshot = Snapshot { position: Position { term, index }, voters, state };
    }

    /// Puts a snapshot in the place of everything.
    pub fn install(&mut self, snapshot: Snapshot) {
        self.snapshot = snapshot;
        self.log.clear();
        self.changes.clear();
    }

    /// The place of an entry in the log.
    fn place(&self, index: Index) -> Option<usize> {
        let behind = index.checked_sub(self.snapshot.position.index + 1)?;
        usize::try_from(behind).ok()
    }
}
