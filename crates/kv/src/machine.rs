//! The state machine: an ordered store that knows how far it has come.
//!
//! ```text
//!   family   key                 value
//!   data     a client's          a client's
//!   meta     "applied"           the last entry that is in the store, u64
//!            "restore"           the number of the one under way, u64; 0 or none: there is none
//!            "session" number    a row of the driver's
//!            "server" id         where the server is
//! ```
//!
//! The entries of one step become one batch of the store together with "applied", so that a kill
//! leaves the state behind a whole step. The store does not sync: what a power cut takes from it
//! the log still has, or the snapshot before it.
//!
//! # What this module does not do
//!
//! It reads nothing for clients but through a [`View`], which any thread may hold.

mod load;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use lsm::{Batch, Db, Family, Iter};
use parking_lot::RwLock;
use raft::{Index, NodeId};
use raft_net::{MachineError, Make, Row, StateMachine};

use crate::{Address, Answer, Command, Refused};

const APPLIED: &[u8] = b"applied";
const RESTORE: &[u8] = b"restore";
const SESSION: &[u8] = b"session";
const SERVER: &[u8] = b"server";

/// Bytes of a batch while a snapshot is brought in.
const RESTORE_BYTES: usize = 1 << 20;

/// Memory for the store.
const BUDGET: usize = 64 << 20;

fn numbered(name: &[u8], number: u64) -> Vec<u8> {
    [name, &number.to_be_bytes()].concat()
}

/// Whether a snapshot or a backup is being brought in, by the count of beginnings and ends.
const fn is_within(restores: u64) -> bool {
    restores % 2 == 1
}

/// The store as readers see it. Copies see the same store.
#[derive(Clone, Debug)]
pub struct View {
    db: Arc<Db>,
    data: Family,
    meta: Family,
    /// Odd from when a snapshot or a backup begins to be brought in until all of it is there.
    restores: Arc<AtomicU64>,
    /// Whether it is a backup.
    is_loading: Arc<AtomicBool>,
    servers: Arc<RwLock<BTreeMap<NodeId, Address>>>,
}

impl View {
    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> lsm::Result<Option<Vec<u8>>> {
        self.data.get(key)
    }

    /// Entries whose keys begin with `prefix`, in order, at most `limit` of them.
    pub fn scan(&self, prefix: &[u8], limit: usize) -> lsm::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let entries = self.data.range(prefix..).take(limit);
        let mut found = Vec::new();
        for entry in entries {
            let (key, value) = entry?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push((key, value));
        }
        Ok(found)
    }

    /// All entries as they are now, and the last command that is in them; `None` where a snapshot
    /// or a backup is being brought in.
    pub(crate) fn entries(&self) -> Option<lsm::Result<(Index, Iter)>> {
        self.whole(|view| {
            let moment = view.db.snapshot();
            let applied = moment.get_in(&view.meta, APPLIED)?;
            let applied = applied.and_then(|bytes| (&bytes[..]).try_get_u64_le().ok());
            Ok((Index(applied.unwrap_or_default()), moment.iter_in(&view.data)))
        })
    }

    /// What `look` sees of one state; `None` where a snapshot or a backup was being brought in
    /// before it was done, so that it may have seen a mixture.
    pub fn whole<T>(&self, look: impl FnOnce(&Self) -> T) -> Option<T> {
        // Acquire: with the Release of `end_restore`, so that all that was brought in is seen.
        let before = self.restores.load(Ordering::Acquire);
        if is_within(before) {
            return None;
        }
        let seen = look(self);
        // Acquire: who saw a write of a later restore took a lock of the store after its writer
        // let go of it, and so sees here at the latest what `begin_restore` stored before.
        (self.restores.load(Ordering::Acquire) == before).then_some(seen)
    }

    fn begin_restore(&self) {
        // Relaxed: one thread restores, and nobody else stores.
        let count = self.restores.load(Ordering::Relaxed);
        if !is_within(count) {
            // Release: for the Acquire of `whole`; the writes that follow are published by the
            // store's own.
            self.restores.store(count + 1, Ordering::Release);
        }
    }

    fn end_restore(&self) {
        // Relaxed: as in `begin_restore`.
        let count = self.restores.load(Ordering::Relaxed);
        if is_within(count) {
            // Release: for the Acquire of `whole`, which then sees all that was brought in.
            self.restores.store(count + 1, Ordering::Release);
        }
    }

    /// Whether a backup is being restored.
    pub(crate) fn is_loading(&self) -> bool {
        // Relaxed: it says why there is nothing to read, and decides nothing.
        self.is_loading.load(Ordering::Relaxed)
    }

    fn set_loading(&self, is_loading: bool) {
        // Relaxed: as in `is_loading`.
        self.is_loading.store(is_loading, Ordering::Relaxed);
    }

    /// Where the servers are that have said so.
    pub fn servers(&self) -> BTreeMap<NodeId, Address> {
        self.servers.read().clone()
    }
}

/// The state machine.
#[derive(Debug)]
pub struct Machine {
    view: View,
    applied: Index,
    /// What the entries of this step have done so far, and the store does not have.
    step: Batch,
    overlay: BTreeMap<Bytes, Option<Bytes>>,
    /// Whether this step has taken away all that the store has.
    is_emptied: bool,
    moved: bool,
    /// The restore that is under way, by its number; 0 where none is.
    restore: u64,
}

impl Machine {
    /// Opens the store in `folder`, which is made where it is missing.
    pub fn open(folder: &Path) -> Result<Self, MachineError> {
        let db = Arc::new(Db::open(folder, lsm::Options::with_budget(BUDGET))?);
        let (data, meta) = (db.family("data")?, db.family("meta")?);
        let number = |name| -> Result<u64, MachineError> {
            Ok(meta.get(name)?.map_or(Ok(0), |bytes| (&bytes[..]).try_get_u64_le())?)
        };
        let (applied, restore) = (Index(number(APPLIED)?), number(RESTORE)?);
        let (restores, is_loading, servers) = Default::default();
        let view = View { db, data, meta, restores, is_loading, servers };
        // Killed within a restore: what is there is half of it until it is done again.
        let is_half = applied == Index::ZERO && view.data.range(..).next().is_some();
        if is_half || restore != 0 {
            view.begin_restore();
        }
        view.set_loading(restore != 0);
        let (step, overlay) = (Batch::new(), BTreeMap::new());
        let (is_emptied, moved) = (false, false);
        let machine = Self { view, applied, step, overlay, is_emptied, moved, restore };
        machine.note_servers()?;
        Ok(machine)
    }

    /// A way to read the store.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Entries of `meta` under a name, by their numbers.
    fn of_meta(&self, name: &[u8]) -> Result<Vec<(u64, Bytes)>, MachineError> {
        let mut found = Vec::new();
        for entry in self.view.meta.range(name..) {
            let (key, value) = entry?;
            let Some(mut number) = key.strip_prefix(name) else { break };
            found.push((number.try_get_u64()?, Bytes::from(value)));
        }
        Ok(found)
    }

    fn note_servers(&self) -> Result<(), MachineError> {
        let mut servers = BTreeMap::new();
        for (id, address) in self.of_meta(SERVER)? {
            servers.insert(NodeId(id), std::str::from_utf8(&address)?.parse()?);
        }
        *self.view.servers.write() = servers;
        Ok(())
    }

    fn value(&self, key: &Bytes) -> Result<Option<Bytes>, MachineError> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.clone()),
            None if self.is_emptied => Ok(None),
            None => Ok(self.view.data.get(key)?.map(Bytes::from)),
        }
    }

    fn set(&mut self, key: Bytes, value: Option<Bytes>) -> Result<(), MachineError> {
        match &value {
            Some(value) => self.step.put_in(&self.view.data, &key, value)?,
            None => self.step.delete_in(&self.view.data, &key)?,
        }
        self.overlay.insert(key, value);
        Ok(())
    }

    fn write_step(&mut self) -> Result<(), MachineError> {
        self.view.db.write(&mut self.step)?;
        self.forget_step();
        Ok(())
    }

    fn forget_step(&mut self) {
        self.step.clear();
        self.overlay.clear();
        self.is_emptied = false;
    }

    /// Changes one key.
    fn write(&mut self, command: Command) -> Result<Answer, MachineError> {
        if self.restore != 0 {
            return Ok(Answer::Refused(Refused::Restoring));
        }
        let (key, value, expected) = match command {
            Command::Put { key, value } => (key, Some(value), None),
            Command::Delete { key } => (key, None, None),
            Command::Swap { key, expected, value } => (key, value, Some(expected)),
            other => return Err(format!("{other:?} changes no key").into()),
        };
        let former = self.value(&key)?;
        if expected.is_none_or(|expected| expected == former) {
            self.set(key, value)?;
        }
        Ok(Answer::Former(former))
    }

    fn announce(&mut self, id: NodeId, address: Option<&Address>) -> Result<Answer, MachineError> {
        let key = numbered(SERVER, id.0);
        match address {
            Some(it) => self.step.put_in(&self.view.meta, &key, it.to_string().as_bytes())?,
            None => self.step.delete_in(&self.view.meta, &key)?,
        }
        self.moved = true;
        Ok(Answer::Former(None))
    }

    /// Takes away all entries of a family, in batches.
    fn clear(&mut self, family: &Family) -> Result<(), MachineError> {
        let mut bytes = 0;
        for entry in family {
            let (key, _) = entry?;
            self.step.delete_in(family, &key)?;
            bytes += key.len();
            if bytes > RESTORE_BYTES {
                self.write_step()?;
                bytes = 0;
            }
        }
        self.write_step()
    }
}

impl StateMachine for Machine {
    fn applied(&self) -> Index {
        self.applied
    }

    fn rows(&self) -> Result<Vec<(u64, Bytes)>, MachineError> {
        self.of_meta(SESSION)
    }

    fn apply(&mut self, index: Index, command: &[u8]) -> Result<Bytes, MachineError> {
        let command = Command::decode(Bytes::copy_from_slice(command))
            .ok_or("a command is not of this version")?;
        let answer = match command {
            Command::Put { .. } | Command::Delete { .. } | Command::Swap { .. } => {
                self.write(command)?
            }
            Command::Announce { id, address } => self.announce(id, address.as_ref())?,
            Command::Begin { replace } => self.begin_load(index, replace)?,
            Command::Load { restore, entries } => self.load(restore, &entries)?,
            Command::End { restore } => self.end_load(restore)?,
        };
        Ok(answer.encode())
    }

    fn commit(&mut self, index: Index, rows: &[Row]) -> Result<(), MachineError> {
        let meta = self.view.meta.clone();
        for (number, row) in rows {
            let key = numbered(SESSION, *number);
            match row {
                Some(row) => self.step.put_in(&meta, &key, row)?,
                None => self.step.delete_in(&meta, &key)?,
            }
        }
        self.step.put_in(&meta, APPLIED, &index.0.to_le_bytes())?;
        if self.restore != 0 {
            self.view.begin_restore();
        }
        self.view.set_loading(self.restore != 0);
        self.write_step()?;
        if self.restore == 0 {
            self.view.end_restore();
        }
        self.applied = index;
        if std::mem::take(&mut self.moved) {
            self.note_servers()?;
        }
        Ok(())
    }

    fn query(&self, key: &Bytes) -> Result<Bytes, MachineError> {
        Ok(Answer::Former(self.view.get(key)?.map(Bytes::from)).encode())
    }

    fn snapshot(&self) -> Result<Make, MachineError> {
        let (snapshot, data) = (self.view.db.snapshot(), self.view.data.clone());
        let (servers, restore) = (self.of_meta(SERVER)?, self.restore);
        Ok(Box::new(move |to| {
            to.write_all(&restore.to_le_bytes())?;
            to.write_all(&u32::try_from(servers.len())?.to_le_bytes())?;
            for (id, address) in &servers {
                to.write_all(&id.to_le_bytes())?;
                put_field(to, address)?;
            }
            for entry in snapshot.iter_in(&data) {
                let (key, value) = entry?;
                put_field(to, &key)?;
                put_field(to, &value)?;
            }
            Ok(())
        }))
    }

    /// Until the last of its batches says what is applied, the store says that nothing is; so a
    /// kill in between has it begin again. So has an error: readers are refused from then on, since
    /// what is there is a mixture, and the step that was not written is thrown away by the next
    /// attempt.
    fn restore(
        &mut self,
        index: Index,
        data: &mut dyn Read,
        rows: &[(u64, Bytes)],
    ) -> Result<(), MachineError> {
        self.view.begin_restore();
        let (of_data, of_meta) = (self.view.data.clone(), self.view.meta.clone());
        self.forget_step();
        self.step.delete_in(&of_meta, APPLIED)?;
        self.write_step()?;
        self.clear(&of_meta)?;
        self.clear(&of_data)?;
        self.restore = take_u64(data)?;
        self.step.put_in(&of_meta, RESTORE, &self.restore.to_le_bytes())?;
        for _ in 0..take_u32(data)? {
            let key = numbered(SERVER, take_u64(data)?);
            let address = take_field(data)?.ok_or("a snapshot ends within its servers")?;
            self.step.put_in(&of_meta, &key, &address)?;
        }
        let mut bytes = 0;
        while let Some(key) = take_field(data)? {
            let value = take_field(data)?.ok_or("a snapshot ends within an entry")?;
            self.step.put_in(&of_data, &key, &value)?;
            bytes += key.len() + value.len();
            if bytes > RESTORE_BYTES {
                self.write_step()?;
                bytes = 0;
            }
        }
        let rows: Vec<Row> =
            rows.iter().map(|(number, row)| (*number, Some(row.clone()))).collect();
        self.moved = true;
        self.commit(index, &rows)
    }
}

fn put_field(to: &mut dyn Write, field: &[u8]) -> Result<(), MachineError> {
    to.write_all(&u32::try_from(field.len())?.to_le_bytes())?;
    Ok(to.write_all(field)?)
}

fn take_u32(from: &mut dyn Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes))
}

fn take_u64(from: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
}

/// The next field; `None` where the bytes end before it.
fn take_field(from: &mut dyn Read) -> Result<Option<Vec<u8>>, MachineError> {
    let mut len = Vec::with_capacity(4);
    from.take(4).read_to_end(&mut len)?;
    if len.is_empty() {
        return Ok(None);
    }
    let len = (&len[..]).try_get_u32_le()?;
    let mut field = Vec::new();
    from.take(len.into()).read_to_end(&mut field)?;
    if field.len() as u64 == u64::from(len) {
        return Ok(Some(field));
    }
    Err("a snapshot ends within a field".into())
}

#[cfg(test)]
mod tests;
