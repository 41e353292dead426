//! `docs`: what the documents quote, as the code is now.

use crate::Study;
use crate::error::Error;
use crate::prose;

/// Renews the pieces of code in all documents.
pub(crate) fn docs(study: &Study) -> Result<bool, Error> {
    let renewed = prose::refresh(&study.root)?;
    for path in &renewed {
        say!("{}", path.strip_prefix(&study.root).unwrap_or(path).display());
    }
    say!("{} documents were stale", renewed.len());
    Ok(true)
}
