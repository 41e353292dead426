//! First in, first out: nothing is merged, and what is oldest goes when there is too much of it, or
//! when it is too old. For a cache, or for measurements that nobody asks for after a week.

use std::time::Duration;

use super::{Action, Job};
use crate::run::Run;
use crate::version::{Place, Version};

pub(super) fn pick(
    version: &Version,
    size: u64,
    age: Option<Duration>,
    now: Duration,
) -> Option<Job> {
    let mut room = size;
    let is_over = |run: &Run| {
        let youngest = run.tables().iter().map(|it| it.meta.special.born).max().unwrap_or(0);
        age.is_some_and(|age| youngest > 0 && Duration::from_secs(youngest) + age <= now)
    };
    let mut stay = 0;
    for run in version.runs() {
        match room.checked_sub(run.bytes()) {
            Some(rest) if !is_over(run) => room = rest,
            _ => break,
        }
        stay += 1;
    }
    // What is older than a run that goes must go as well, or it would be seen again.
    let sources: Vec<_> = version.runs().skip(stay).cloned().collect();
    (!sources.is_empty()).then_some(Job { action: Action::Drop, sources, target: Place::TOP })
}
