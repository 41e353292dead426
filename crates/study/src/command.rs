//! What the learner can ask for, one module each.

mod bench;
mod check;
mod docs;
mod list;
mod quiz;
mod site;
mod source;
mod tour;

pub(crate) use bench::bench;
pub(crate) use check::{check, watch};
pub(crate) use docs::docs;
pub(crate) use list::{hint, list, next};
#[cfg(test)]
pub(crate) use quiz::is_due;
pub(crate) use quiz::{export, quiz};
pub(crate) use site::site;
pub(crate) use source::{diff, reset};
pub(crate) use tour::tour;

use crate::Study;
use crate::catalogue::{Exercise, Stage};
use crate::error::Error;

impl Study {
    /// The exercise that is worked on; the first one where none was chosen.
    fn exercise(&self) -> Result<&Exercise, Error> {
        match &self.progress.build {
            Some(build) => self.catalogue.exercise(build),
            None => self.catalogue.exercises.first().ok_or_else(|| {
                Error::Refused("There are no exercises in this checkout.".to_owned())
            }),
        }
    }

    /// The stage that is worked on; `None` where all have passed.
    fn stage(&self) -> Result<(&Exercise, Option<&Stage>), Error> {
        let exercise = self.exercise()?;
        Ok((exercise, self.progress.current(exercise)))
    }
}
