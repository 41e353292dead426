//! `site`: the documents as pages.

use crate::Study;
use crate::error::Error;
use crate::site as pages;

/// Where the site is, from the root.
const FOLDER: &str = "target/strata/site";

/// Builds the site.
pub(crate) fn site(study: &Study) -> Result<bool, Error> {
    let out = study.root.join(FOLDER);
    let count = pages::build(&study.root, &out)?;
    say!("{count} pages; open {FOLDER}/index.html");
    Ok(true)
}
