//! How much to measure.

use std::time::Duration;

use super::subject::Line;
use crate::workload::Size;

/// How much to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How large workloads are.
    pub size: Size,
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
    /// How long a line should take: rounds that no longer fit in are left out, so that a run with
    /// slow contenders ends in time too. Four episodes of one round each are always made.
    pub budget: Option<Duration>,
}

/// Episodes that a line has whatever they take: fewer could not tell how much they differ.
const EPISODES_MIN: u32 = 4;

/// How many times fewer episodes a costly line has.
const COSTLY: usize = 3;

/// How many times more rounds a contended line has.
const CONTENDED: usize = 4;

impl Plan {
    /// Everything once, to see that it works; no figure of it means anything.
    pub const SMOKE: Self = Self {
        size: Size::Smoke,
        episodes: 1,
        rounds: 1,
        part_ns: 20_000,
        paced_ns: 1_000_000,
        limit: Duration::from_mins(1),
        budget: None,
    };
    /// A ratio that repeats within three percent.
    pub const QUICK: Self = Self {
        size: Size::Quick,
        episodes: 10,
        rounds: 6,
        part_ns: 2_000_000,
        paced_ns: 50_000_000,
        limit: Duration::from_mins(1),
        budget: Some(Duration::from_secs(3)),
    };
    /// A ratio to publish.
    pub const FULL: Self = Self {
        size: Size::Full,
        episodes: 25,
        rounds: 8,
        part_ns: 4_000_000,
        paced_ns: 200_000_000,
        limit: Duration::from_mins(5),
        budget: None,
    };

    /// The same plan with about `rounds` rounds in all, at least one in each episode, however long
    /// they take.
    #[must_use]
    pub fn with_rounds(self, rounds: usize) -> Self {
        let episodes = self.episodes.min(rounds).max(1);
        Self { episodes, rounds: rounds.div_ceil(episodes).max(1), budget: None, ..self }
    }

    /// Whether a line has enough of `done` episodes that took so long.
    pub(super) fn is_enough(&self, done: usize, took: Duration) -> bool {
        done >= EPISODES_MIN as usize && self.budget.is_some_and(|budget| took >= budget)
    }

    /// Whether an episode, its subjects made, has enough of rounds that took so long.
    pub(super) fn is_episode_full(&self, took: Duration) -> bool {
        let share = self.budget.map(|it| it / EPISODES_MIN);
        share.is_some_and(|share| took >= share)
    }

    /// The plan for `line`: where subjects are dear to make, as many rounds in fewer episodes;
    /// where threads contend for one word, more rounds; where a pass is a whole of its own, one
    /// round an episode. One round stays one round.
    #[must_use]
    pub(super) fn for_line(self, line: &Line) -> Self {
        let more = if line.contended && self.measures() { CONTENDED } else { 1 };
        let rounds = self.episodes * self.rounds * more;
        let episodes = if line.costly { self.episodes.div_ceil(COSTLY) } else { self.episodes };
        let longer = if self.measures() { line.part_factor } else { 1 };
        let part_ns = self.part_ns * longer;
        let rounds = if line.exactly.is_some() { 1 } else { rounds.div_ceil(episodes) };
        Self { episodes, rounds, part_ns, ..self }
    }

    /// Whether its figures mean something.
    pub fn measures(&self) -> bool {
        self.size != Size::Smoke
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Plan;
    use crate::duel::Line;
    use crate::workload::Sizes;

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

    #[test]
    fn a_line_ends_when_its_time_is_over_and_it_has_episodes_enough() {
        let quick = Plan { budget: Some(Duration::from_secs(8)), ..Plan::QUICK };
        let [short, long] = [Duration::from_secs(7), Duration::from_secs(8)];
        assert!(!quick.is_enough(3, long) && !quick.is_enough(9, short));
        assert!(quick.is_enough(4, long));
        assert!(quick.is_episode_full(Duration::from_secs(2)));
        assert!(!quick.is_episode_full(Duration::from_millis(1_999)));
        let asked = quick.with_rounds(60);
        assert!(!asked.is_enough(60, long) && !asked.is_episode_full(long), "a wish is a wish");
    }

    #[test]
    fn a_costly_line_has_fewer_episodes_and_as_many_rounds() {
        let line = Line::new("test", "costly", 1, Vec::new());
        assert_eq!(Plan::QUICK.for_line(&line), Plan::QUICK);
        let plan = Plan::QUICK.for_line(&line.costly());
        assert_eq!((plan.episodes, plan.rounds), (4, 15));
        assert_eq!(Plan::SMOKE.for_line(&Line::new("test", "x", 1, vec![]).costly()), Plan::SMOKE);
    }

    #[test]
    fn long_parts_are_longer_where_they_are_measured() {
        let line = || Line::new("test", "handed", 1, Vec::new()).long_parts();
        let plan = Plan::QUICK.for_line(&line());
        assert_eq!(plan, Plan { part_ns: 10 * Plan::QUICK.part_ns, ..Plan::QUICK });
        assert_eq!(Plan::SMOKE.for_line(&line()), Plan::SMOKE);
    }

    #[test]
    fn a_pass_that_is_a_whole_is_a_round_an_episode() {
        let herd = Sizes { smoke: 20, quick: 2_000, full: 2_000 };
        let line = Line::new("test", "herd", 1, Vec::new()).exactly(herd);
        let plan = Plan::QUICK.for_line(&line);
        assert_eq!((plan.episodes, plan.rounds), (Plan::QUICK.episodes, 1));
        let plan = Plan::QUICK.for_line(&line.costly());
        assert_eq!((plan.episodes, plan.rounds), (4, 1));
    }

    #[test]
    fn a_contended_line_has_more_rounds() {
        let line = || Line::new("test", "contended", 2, Vec::new()).contended();
        let plan = Plan::QUICK.for_line(&line());
        assert_eq!((plan.episodes, plan.rounds), (10, 24));
        assert_eq!(Plan::SMOKE.for_line(&line()), Plan::SMOKE);
    }
}
