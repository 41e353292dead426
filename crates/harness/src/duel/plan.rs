//! How much to measure.

use std::time::Duration;

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `smoke`, `quick` or `full`.
    pub mode: &'static str,
    /// How often processes and subjects are made anew.
    pub episodes: usize,
    /// Rounds with the same subjects.
    pub rounds: usize,
    /// How long one contender's part of a round should take, in nanoseconds.
    pub part_ns: u64,
    /// How long one contender's latency is measured in an episode, in nanoseconds.
    pub paced_ns: u64,
    /// How long a contender may take to answer before it counts as hung.
    pub limit: Duration,
}

impl Plan {
    /// Everything once, to see that it works; no figure of it means anything.
    pub const SMOKE: Self = Self {
        mode: "smoke",
        episodes: 1,
        rounds: 1,
        part_ns: 20_000,
        paced_ns: 1_000_000,
        limit: Duration::from_mins(1),
    };
    /// A ratio that repeats within three percent.
    pub const QUICK: Self = Self {
        mode: "quick",
        episodes: 10,
        rounds: 6,
        part_ns: 2_000_000,
        paced_ns: 50_000_000,
        limit: Duration::from_mins(1),
    };
    /// A ratio to publish.
    pub const FULL: Self = Self {
        mode: "full",
        episodes: 25,
        rounds: 8,
        part_ns: 4_000_000,
        paced_ns: 200_000_000,
        limit: Duration::from_mins(5),
    };

    /// The same plan with about `rounds` rounds in all, at least one in each episode.
    #[must_use]
    pub fn with_rounds(self, rounds: usize) -> Self {
        let episodes = self.episodes.min(rounds).max(1);
        Self { episodes, rounds: rounds.div_ceil(episodes).max(1), ..self }
    }

    /// Whether its figures mean something.
    pub fn measures(&self) -> bool {
        self.mode != Self::SMOKE.mode
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn rounds_are_spread_over_episodes() {
        let plan = |rounds| {
            let plan = Plan::QUICK.with_rounds(rounds);
            (plan.episodes, plan.rounds)
        };
        assert_eq!(plan(0), (1, 1));
        assert_eq!(plan(3), (3, 1));
        assert_eq!(plan(25), (10, 3));
    }
}
