//! Random scripts from a seed.
//!
//! A run in which everything goes wrong all the time hides the bugs that need one fault and then
//! quiet. So each script first draws *which* families of faults it may use, and only then how many
//! and when: Groce et al., "Swarm testing", ISSTA 2012. What breaks is mostly mended later in the
//! same script, and the last line is `recover`, so that a test can ask for progress after it.

use std::time::Duration;

use env::random::{Random, SeededRandom};

use super::{Command, Line, Nodes, Script};
use crate::sim::disk::{DiskFault, Dose};
use crate::sim::network::{LinkFault, NodeId};

/// A group of faults that a system bears or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Messages are lost, late, doubled, out of order.
    Links,
    /// Groups of nodes do not reach each other.
    Partitions,
    /// Nodes stand still for a while.
    Pauses,
    /// Processes end, machines lose power, also in the midst of an I/O.
    Crashes,
    /// Clocks run fast or slow and jump.
    Clocks,
    /// Disks are slow, full, read short, and fail with an error.
    DiskErrors,
    /// Disks lie: a bit changes, a sync does nothing. Only a system with copies elsewhere bears it.
    DiskLies,
}

impl Family {
    /// Every family.
    pub const ALL: &[Self] = &[
        Self::Links,
        Self::Partitions,
        Self::Pauses,
        Self::Crashes,
        Self::Clocks,
        Self::DiskErrors,
        Self::DiskLies,
    ];
}

/// What scripts are drawn from.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// How many nodes the world has.
    pub nodes: u32,
    /// Which of them may be struck by faults of their own: the replicas, say, and not the clients.
    pub victims: u32,
    /// When everything recovers.
    pub until: Duration,
    /// Most faults in a script, those that mend not counted.
    pub faults_max: u64,
    /// What the system is expected to bear.
    pub families: Vec<Family>,
}

impl Swarm {
    /// Scripts of at most ten faults for so many nodes, of all families but lying disks.
    pub fn new(nodes: u32, until: Duration) -> Self {
        let families = Family::ALL.iter().copied();
        let families = families.filter(|&family| family != Family::DiskLies).collect();
        Self { nodes, victims: nodes, until, faults_max: 10, families }
    }

    /// The script of a seed.
    pub fn draw(&self, seed: u64) -> Script {
        let random = SeededRandom::new(seed ^ 0x5357_4152_4D5F_5345);
        let mut draw = Draw { swarm: self, random, lines: Vec::new() };
        let families = draw.families();
        if !families.is_empty() {
            for _ in 0..draw.random.below(self.faults_max + 1) {
                let family = *draw.pick(&families);
                draw.fault(family);
            }
        }
        let mut lines = draw.lines;
        lines.sort_by_key(|line| line.at);
        lines.push(Line { at: self.until, fault: Command::Recover });
        Script { lines }
    }
}

/// A script in the making.
struct Draw<'a> {
    swarm: &'a Swarm,
    random: SeededRandom,
    lines: Vec<Line>,
}

impl Draw<'_> {
    /// Each family takes part with even chance.
    fn families(&mut self) -> Vec<Family> {
        let families = self.swarm.families.iter().copied();
        families.filter(|_| self.random.below(2) == 0).collect()
    }

    fn fault(&mut self, family: Family) {
        let at = self.moment(Duration::ZERO);
        let (fault, mend) = match family {
            Family::Links => self.link(),
            Family::Partitions => (self.partition(), Some(Command::Heal)),
            Family::Pauses => {
                let node = self.victim();
                (Command::Pause(node), Some(Command::Resume(node)))
            }
            Family::Crashes => self.crash(),
            Family::Clocks => (self.clock(), None),
            Family::DiskErrors => {
                let node = self.victim();
                let mend = Command::Disk(node, DiskFault::Heal);
                (Command::Disk(node, self.disk_error()), Some(mend))
            }
            Family::DiskLies => (Command::Disk(self.victim(), self.disk_lie()), None),
        };
        self.lines.push(Line { at, fault });
        // One in four lasts until all is mended.
        if let Some(fault) = mend.filter(|_| self.random.below(4) > 0) {
            let at = self.moment(at);
            self.lines.push(Line { at, fault });
        }
    }

    /// A moment between `after` and the end, in whole microseconds, which read better.
    fn moment(&mut self, after: Duration) -> Duration {
        let left = self.swarm.until.saturating_sub(after).as_micros();
        let left = u64::try_from(left).unwrap_or(u64::MAX).max(1);
        let after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(after.saturating_add(self.random.below(left)))
    }

    fn link(&mut self) -> (Command, Option<Command>) {
        let (from, to) = (self.node_set(), self.node_set());
        let chance = [10_000, 50_000, 200_000, 500_000];
        let fault = match self.random.below(4) {
            0 => LinkFault::Drop(*self.pick(&chance)),
            1 => LinkFault::Duplicate(*self.pick(&chance)),
            2 => LinkFault::Reorder(*self.pick(&chance)),
            _ => {
                let min = Duration::from_micros(1 + self.random.below(5_000));
                LinkFault::Delay { min, max: min * *self.pick(&[1, 2, 20]) }
            }
        };
        let mend = Command::Link(from.clone(), to.clone(), LinkFault::Heal);
        (Command::Link(from, to, fault), Some(mend))
    }

    fn partition(&mut self) -> Command {
        let nodes = self.shuffled();
        let cut = 1 + self.index(nodes.len().max(2) - 1);
        let (left, right) = nodes.split_at(cut.min(nodes.len()));
        if right.is_empty() {
            return Command::Ring;
        }
        match self.random.below(5) {
            0 => Command::OneWay(left.to_vec(), right.to_vec()),
            1 if nodes.len() >= 3 => {
                let half = 1 + self.index(nodes.len() - 2);
                Command::Bridge([
                    nodes[..half].to_vec(),
                    vec![nodes[half]],
                    nodes[half + 1..].to_vec(),
                ])
            }
            2 if nodes.len() >= 4 => Command::Ring,
            3 => Command::Partition(vec![vec![left[0]]]),
            _ => Command::Partition(vec![left.to_vec(), right.to_vec()]),
        }
    }

    fn crash(&mut self) -> (Command, Option<Command>) {
        let node = self.victim();
        let fault = match self.random.below(4) {
            0 => Command::Kill(node),
            1 => Command::Crash(node),
            _ => Command::CrashAfter(node, self.random.below(30)),
        };
        (fault, Some(Command::Restart(node)))
    }

    fn clock(&mut self) -> Command {
        let node = self.victim();
        if self.random.below(2) == 0 {
            return Command::ClockRate(node, *self.pick(&[500_000, 900_000, 1_100_000, 2_000_000]));
        }
        let nanos = i64::try_from(self.random.below(200_000)).expect("it is small") - 100_000;
        Command::ClockJump(node, nanos * 1_000)
    }

    fn disk_error(&mut self) -> DiskFault {
        let dose = self.dose();
        match self.random.below(6) {
            0 => DiskFault::ReadError(dose),
            1 => DiskFault::WriteError(dose),
            2 => DiskFault::SyncError(dose),
            3 => DiskFault::ShortRead(dose),
            4 => DiskFault::Full { room: self.random.below(4_096) },
            _ => {
                let min = Duration::from_micros(self.random.below(1_000));
                DiskFault::Slow { min, max: min * *self.pick(&[1, 10]) }
            }
        }
    }

    fn disk_lie(&mut self) -> DiskFault {
        match self.random.below(2) {
            0 => DiskFault::FlipBit { file: None },
            _ => DiskFault::LoseSync(self.dose()),
        }
    }

    fn dose(&mut self) -> Dose {
        *self.pick(&[Dose::Times(1), Dose::Times(1), Dose::Times(5), Dose::Chance(100_000)])
    }

    fn victim(&mut self) -> NodeId {
        NodeId(1 + u32::try_from(self.random.below(u64::from(self.swarm.victims))).expect("a u32"))
    }

    fn node_set(&mut self) -> Nodes {
        match self.random.below(2) {
            0 => Nodes::All,
            _ => Nodes::Some(vec![self.victim()]),
        }
    }

    fn shuffled(&mut self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = (1..=self.swarm.nodes).map(NodeId).collect();
        for last in (1..nodes.len()).rev() {
            let chosen = self.index(last + 1);
            nodes.swap(last, chosen);
        }
        nodes
    }

    fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.index(items.len())]
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("below a usize")
    }
}
