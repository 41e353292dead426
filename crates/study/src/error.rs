//! What can go wrong, each with the next thing to do.

use std::path::PathBuf;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file of the repository or of the progress could not be read or written.
    #[error("{error}")]
    File {
        #[from]
        error: env::fs::FsError,
    },
    /// A file of the catalogue is not what it should be.
    #[error("{path}: {problem}\nThis is a mistake in the exercise, not in your code.")]
    Catalogue { path: PathBuf, problem: String },
    /// The progress cannot be understood.
    #[error("{path} is damaged: {problem}\nDelete the file to begin anew; your code is not in it.")]
    Progress { path: PathBuf, problem: String },
    /// There is no such build.
    #[error("There is no exercise called {build:?}. There are: {known}.")]
    UnknownBuild { build: String, known: String },
    /// There is no such stage.
    #[error("{build} has the stages 1 to {last}, and no stage {stage}.")]
    UnknownStage { build: String, stage: u32, last: usize },
    /// Another program could not be started.
    #[error("{program} could not be started: {reason}")]
    Program { program: String, reason: String },
    /// The command makes no sense yet, or needs more.
    #[error("{0}")]
    Refused(String),
}
