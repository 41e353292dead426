//! Time: ticks as they are due, for groups that are awake, and how long nobody need look.
//!
//! # What this module does not do
//!
//! It sees to no time that passes for groups at rest; see `quiet`.

use std::time::Duration;

use env::clock::Timestamp;

use super::Shard;
use crate::node::group::Group;

/// Entries of an idle group that are freed in a tick.
const FREED_A_TICK: usize = 4_096;

/// Ticks between two looks at what holds the log back.
const UNBURDEN_TICKS: u64 = 64;

impl Shard {
    /// How long the node's own thread may rest where nothing comes.
    pub(in crate::node) fn rest(&mut self) -> Duration {
        self.rests_until = self.next_look();
        self.rests_until.saturating_since(self.clock.now())
    }

    /// When there is something to do though nothing comes.
    pub(super) fn next_look(&self) -> Timestamp {
        let gathered = self.gathering.values().min();
        gathered.map_or(self.next_due(), |until| self.next_due().min(*until))
    }

    /// Whether there is something to do now though nothing has come.
    pub(in crate::node) fn is_due(&self) -> bool {
        let now = self.clock.now();
        self.next_look() <= now || self.was_set_back(now) || self.is_over()
    }

    /// Whether the clock shows less than it did: nothing is planned for so late.
    fn was_set_back(&self, now: Timestamp) -> bool {
        self.next_tick > now + self.options.tick
    }

    /// Has groups propose what they have held back long enough.
    pub(super) fn end_gathering(&mut self) {
        if !self.gathering.is_empty() {
            let now = self.clock.now();
            let due = self.gathering.iter().filter(|(_, until)| **until <= now);
            self.touched.extend(due.map(|(id, _)| *id));
        }
    }

    /// When time is next to be counted.
    fn next_due(&self) -> Timestamp {
        if !self.awake.is_empty() || self.stopping.is_some() {
            return self.next_tick;
        }
        self.next_tick + self.options.tick * (self.peers.patience(self.ticks) - 1)
    }

    /// Counts ticks that nobody waited for, once it is settled what is heard next and before it is:
    /// what is counted after a leader's word has passed after it, or a promise to that leader would
    /// end early (`raft::ReadMode::Lease`). After a pause of the whole process time only passes,
    /// and nobody campaigns for it: a leader may have spoken meanwhile.
    pub(super) fn catch_up(&mut self) {
        let tick = self.options.tick;
        let late = self.clock.now().saturating_since(self.next_tick);
        if late < tick * self.options.config.election_ticks {
            return self.tick();
        }
        let missed = late.as_nanos() / tick.as_nanos().max(1);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        // A group is told when it is looked at.
        self.ticks += u64::from(missed);
        self.next_tick = self.next_tick + tick * missed;
    }

    /// Delivers the ticks that are due, also those that a pause held up: a leader must notice how
    /// long it was silent.
    pub(super) fn tick(&mut self) {
        let now = self.clock.now();
        if self.was_set_back(now) {
            self.next_tick = now + self.options.tick;
            self.touched.extend(self.gathering.keys());
        }
        let most = 2 * self.options.config.election_ticks;
        for _ in 0..most {
            if self.next_tick > now {
                return;
            }
            self.next_tick = self.next_tick + self.options.tick;
            // Who is awake counts it, and all others only once they are touched.
            let awake: Vec<_> = self.awake.iter().copied().collect();
            for id in awake {
                if let Some(group) = self.groups.get_mut(&id) {
                    group.pass_time(self.ticks, &self.peers);
                }
                self.with(id, |group, _, _| {
                    group.raft.tick();
                    group.as_of += 1;
                    group.free(FREED_A_TICK);
                    Ok(())
                });
            }
            self.ticks += 1;
            self.look_around();
            if self.ticks.is_multiple_of(UNBURDEN_TICKS) {
                self.unburden();
            }
        }
        self.next_tick = now + self.options.tick;
    }

    /// Has groups written anew that hold back too much of the log.
    fn unburden(&mut self) {
        let burdens = self.groups.values().filter(|group| group.is_burden(&self.options));
        let ids: Vec<_> = burdens.map(|group| group.id).collect();
        for id in ids {
            self.with(id, Group::unburden);
        }
    }
}
