//! Backups as files: taken from a cluster, and restored into one.
//!
//! ```text
//!   take      server --- bytes ---> verified as they come --> FILE.tmp, and FILE once all is there
//!   restore   FILE is read once and verified; then  Begin, block after block, End
//! ```
//!
//! # What this module does not do
//!
//! It holds no more of a backup in memory than a block and a piece.

use std::path::Path;
use std::time::Duration;

use env::fs::{File, Fs, FsError, FsExt, OpenMode, OsFs};
use serde_json::json;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{Block, Damaged, Reader, Summary};
use crate::http_client::{Content, Download, download};
use crate::{Client, ClientError};

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// The wait before all servers are tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no backup, or why it is not restored.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The bytes. Nothing was changed.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The file.
    #[error(transparent)]
    File(#[from] FsError),
    /// The cluster. Nothing was changed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A restore was begun and did not come to its end.
    #[error(
        "the restore stopped on its way ({cause}): the cluster answers no reads and writes until \
         one is done; run it again with --replace"
    )]
    Unfinished {
        /// Why.
        cause: Box<BackupError>,
    },
}

/// Writes a backup of the cluster's state, as of some moment during the call, to a file. What the
/// file held before stays until all of the backup is there, verified and durable.
///
/// # Errors
///
/// Where no server has sent one within the client's patience, or the file cannot be written.
pub async fn take(client: &Client, path: &Path) -> Result<Summary, BackupError> {
    let (begun, patience) = (Instant::now(), client.patience());
    loop {
        let mut last = String::new();
        for server in client.servers() {
            match download(server, "/backup", patience).await {
                Ok(sent) => match keep(sent, path).await? {
                    Ok(summary) => return Ok(summary),
                    Err(cause) => last = format!("{server}: {cause}"),
                },
                Err(cause) => last = format!("{server}: {cause}"),
            }
        }
        if begun.elapsed() >= patience {
            return Err(ClientError::TimedOut { after: patience, last }.into());
        }
        sleep(PAUSE).await;
    }
}

/// Writes what a server sends; says why where that is no backup, so that another one is asked.
async fn keep(mut sent: Download, path: &Path) -> Result<Result<Summary, String>, FsError> {
    let (mut reader, mut draft) = (Reader::default(), OsFs.draft(path)?);
    let mut piece = vec![0; PIECE];
    loop {
        let len = match sent.read(&mut piece).await {
            Ok(len) => len,
            Err(cause) => return Ok(Err(cause.to_string())),
        };
        if len == 0 {
            break;
        }
        draft.append(&piece[..len])?;
        reader.feed(&piece[..len]);
        loop {
            match reader.block() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(cause) => return Ok(Err(cause.to_string())),
            }
        }
    }
    match reader.finish() {
        Ok(summary) => draft.publish().map(|()| Ok(summary)),
        Err(cause) => Ok(Err(cause.to_string())),
    }
}

/// The blocks of a file, one after the other.
struct Blocks {
    file: Box<dyn File>,
    at: u64,
    piece: Vec<u8>,
    reader: Reader,
}

impl Blocks {
    fn open(path: &Path) -> Result<Self, FsError> {
        let file = OsFs.open(path, OpenMode::READ)?;
        Ok(Self { file, at: 0, piece: vec![0; PIECE], reader: Reader::default() })
    }

    /// The next block; `None` behind the last one of a whole backup.
    fn next(&mut self) -> Result<Option<Block>, BackupError> {
        loop {
            if let Some(block) = self.reader.block()? {
                return Ok(Some(block));
            }
            let len = self.file.read_at(&mut self.piece, self.at)?;
            if len == 0 {
                self.reader.finish()?;
                return Ok(None);
            }
            self.at += len as u64;
            self.reader.feed(&self.piece[..len]);
        }
    }
}

/// Restores a backup into a cluster that has no keys, or, with `replace`, in the place of all that
/// it has. Meanwhile the cluster refuses reads and other writes.
///
/// # Errors
///
/// The file is verified before anything is changed. What goes wrong after the restore has begun is
/// [`BackupError::Unfinished`].
pub async fn restore(
    client: &mut Client,
    path: &Path,
    replace: bool,
) -> Result<Summary, BackupError> {
    let mut blocks = Blocks::open(path)?;
    while blocks.next()?.is_some() {}
    let summary = blocks.reader.finish()?;
    let begun = client.write("POST", "/restore", json!({ "replace": replace })).await?;
    let loaded = load(client, path, &begun["restore"].to_string()).await;
    loaded.map_err(|cause| BackupError::Unfinished { cause: Box::new(cause) })?;
    Ok(summary)
}

async fn load(client: &mut Client, path: &Path, restore: &str) -> Result<(), BackupError> {
    let mut blocks = Blocks::open(path)?;
    while let Some(block) = blocks.next()? {
        let to = format!("/restore/{restore}?block={}", block.number);
        client.send("PUT", &to, Content::Bytes(&block.encode())).await?;
    }
    client.write("POST", &format!("/restore/{restore}"), json!({})).await?;
    Ok(())
}
