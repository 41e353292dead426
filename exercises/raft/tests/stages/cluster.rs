//! A cluster in a world of its own: time, network, crashes and clients follow from a seed, and an
//! oracle looks after each step.
//!
//! | what no run may break      | where it is looked at                                       |
//! |----------------------------|-------------------------------------------------------------|
//! | election safety (§5.2)     | after each event: one leader a term                         |
//! | state-machine safety (§5.4)| at each apply: one entry an index, for all servers and lives |
//! | durable, then said         | at each vote and each acknowledgement                       |
//! | fresh reads                | at each answer: all is applied that anybody had when asked  |
//! | progress                   | when nothing fails any more: all apply one more command     |

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use exercise_raft::exercise::Node;
use exercise_raft::scaffold::{Apply, Body, Id, Index, Message, Payload, Saved, Term};
use harness::rng::SplitMix64;

/// What happens in a world.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kind of trouble")]
pub(crate) struct Weather {
    /// Of a hundred messages so many are lost, and so many come twice.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// A message takes at most so many ticks.
    pub(crate) delay: u64,
    /// Servers are cut off from each other now and then.
    pub(crate) partitions: bool,
    /// Servers crash and start again.
    pub(crate) crashes: bool,
    /// Logs are compacted.
    pub(crate) snapshots: bool,
    /// Clients read.
    pub(crate) reads: bool,
    /// Voters are changed.
    pub(crate) changes: bool,
}

/// A server and what belongs to it.
struct Place {
    node: Option<Node>,
    disk: Saved,
    /// How far the state machine has come, in this life.
    applied: Index,
    /// Where it is while the network is divided.
    side: bool,
}

pub(crate) struct Cluster {
    weather: Weather,
    rng: SplitMix64,
    now: u64,
    places: Vec<Place>,
    /// Messages with the moments at which they arrive.
    network: Vec<(u64, Message)>,
    is_divided: bool,
    leaders: BTreeMap<Term, Id>,
    /// What was applied anywhere.
    history: BTreeMap<Index, Payload>,
    /// Reads that were taken, and what was applied somewhere by then.
    reads: BTreeMap<u64, Index>,
    pub(crate) answered: usize,
    lives: u64,
    commands: u64,
}

impl Cluster {
    /// `count` servers, of which the first `founders` found the cluster.
    pub(crate) fn new(seed: u64, count: u32, founders: u32, weather: Weather) -> Self {
        let voters: Vec<Id> = (0..founders).collect();
        let place = |id| Place {
            node: None,
            disk: if id < founders { Saved::founding(&voters) } else { Saved::default() },
            applied: 0,
            side: false,
        };
        let mut cluster = Self {
            weather,
            rng: SplitMix64::new(seed),
            now: 0,
            places: (0..count).map(place).collect(),
            network: Vec::new(),
            is_divided: false,
            leaders: BTreeMap::new(),
            history: BTreeMap::new(),
            reads: BTreeMap::new(),
            answered: 0,
            lives: seed * 1_000,
            commands: 0,
        };
        (0..cluster.places.len()).for_each(|id| cluster.start(id));
        cluster
    }

    /// Elections alone: no commands are proposed, and in calm there must be a leader.
    pub(crate) fn elections(seed: u64, count: u32, weather: Weather, ticks: u64) {
        let mut cluster = Self::new(seed, count, count, weather);
        for _ in 0..ticks {
            cluster.misfortune();
            cluster.tick();
        }
        (cluster.weather, cluster.is_divided) = (Weather::default(), false);
        for _ in 0..300 {
            cluster.tick();
        }
        let leads = |it: &Place| it.node.as_ref().is_some_and(Node::is_leader);
        let count = cluster.places.iter().filter(|it| leads(it)).count();
        assert_eq!(count, 1, "nothing fails any more, and so many lead");
    }

    /// A cluster of which some servers are no founders and may come in later.
    pub(crate) fn changes(seed: u64, count: u32, founders: u32, weather: Weather, ticks: u64) {
        Self::new(seed, count, founders, weather).run(ticks);
    }

    fn start(&mut self, id: usize) {
        self.lives += 1;
        let place = &mut self.places[id];
        let number = Id::try_from(id).expect("a small number");
        place.node = Some(Node::new(number, place.disk.clone(), self.lives));
        place.applied = 0;
    }

    /// Runs for some ticks under the weather, then in calm until all is well.
    pub(crate) fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.misfortune();
            self.clients();
            self.tick();
        }
        self.weather = Weather::default();
        self.is_divided = false;
        for id in 0..self.places.len() {
            if self.places[id].node.is_none() {
                self.start(id);
            }
        }
        self.require_progress();
    }

    /// When nothing fails, a command is applied by all voters before long.
    fn require_progress(&mut self) {
        const PATIENCE: u64 = 600;
        // By whom in which term it was proposed last, and where it is.
        let mut last = (0, 0);
        for _ in 0..PATIENCE {
            let voters = voters_of(&self.places);
            let leaders = self.places.iter_mut().filter_map(|it| it.node.as_mut());
            let leader = leaders.filter(|it| it.is_leader()).max_by_key(|it| it.term());
            if let Some(leader) = leader {
                if last.0 != leader.term() {
                    let index = leader.propose(Bytes::from_static(b"the last one"));
                    last = (leader.term(), index.expect("it leads"));
                }
                let applied = |id: &Id| self.places[*id as usize].applied;
                if voters.iter().all(|id| applied(id) >= last.1) {
                    return;
                }
            }
            self.tick();
        }
        panic!("nothing fails any more, and in {PATIENCE} ticks no command is applied by all");
    }

    /// Something breaks, or is mended.
    fn misfortune(&mut self) {
        let count = self.places.len() as u64;
        if self.weather.partitions && self.rng.chance(1, 60) {
            self.is_divided = !self.is_divided;
            for id in 0..self.places.len() {
                self.places[id].side = self.rng.chance(1, 2);
            }
        }
        let id = usize::try_from(self.rng.below(count)).expect("a small number");
        if self.weather.crashes && self.rng.chance(1, 40) {
            match self.places[id].node.take() {
                Some(_) => {}
                None => self.start(id),
            }
        }
        if self.weather.snapshots && self.rng.chance(1, 20) {
            let place = &mut self.places[id];
            if let Some(node) = &mut place.node
                && place.applied > 0
            {
                node.compact(place.applied, Bytes::from(place.applied.to_string()));
                self.work(id);
            }
        }
    }

    /// Clients ask for something; whom, they guess.
    fn clients(&mut self) {
        let id = usize::try_from(self.rng.below(self.places.len() as u64)).expect("small");
        let applied = self.history.last_key_value().map_or(0, |it| *it.0);
        let mut voters = voters_of(&self.places);
        let one = Id::try_from(self.rng.below(self.places.len() as u64)).expect("small");
        let Some(node) = &mut self.places[id].node else { return };
        match self.rng.below(6) {
            0 | 1 => {
                self.commands += 1;
                node.propose(Bytes::from(format!("command {}", self.commands)));
            }
            2 if self.weather.reads => {
                let read = self.commands * 1_000 + self.now;
                if node.read(read) {
                    self.reads.insert(read, applied);
                }
            }
            3 if self.weather.changes && self.rng.chance(1, 8) => {
                if !voters.remove(&one) {
                    voters.insert(one);
                }
                if voters.len() >= 2 {
                    node.change(&voters.into_iter().collect::<Vec<_>>());
                }
            }
            _ => return,
        }
        self.work(id);
    }

    fn tick(&mut self) {
        self.now += 1;
        for id in 0..self.places.len() {
            if let Some(node) = &mut self.places[id].node {
                node.tick();
                self.work(id);
            }
        }
        let now = self.now;
        let due: Vec<_> = self.network.extract_if(.., |it| it.0 <= now).collect();
        for (_, message) in due {
            let (from, to) = (message.from as usize, message.to as usize);
            let is_cut = self.is_divided && self.places[from].side != self.places[to].side;
            if let Some(node) = &mut self.places[to].node
                && !is_cut
            {
                node.step(message);
                self.work(to);
            }
        }
    }

    /// Does what a server wants done, and looks at it.
    fn work(&mut self, id: usize) {
        let place = &mut self.places[id];
        let Some(node) = &mut place.node else { return };
        let ready = node.ready();
        if node.is_leader() {
            let number = Id::try_from(id).expect("a small number");
            let leader = *self.leaders.entry(node.term()).or_insert(number);
            assert_eq!(leader, number, "two servers lead term {}", node.term());
        }
        if let Some(saved) = ready.save {
            place.disk = saved;
        }
        if self.weather.crashes && self.rng.chance(1, 400) {
            // After the disk, before the network.
            place.node = None;
            return;
        }
        for message in ready.messages {
            require_durable(&place.disk, &message);
            if self.rng.below(100) < self.weather.lost {
                continue;
            }
            let copies = 1 + u64::from(self.rng.below(100) < self.weather.doubled);
            for _ in 0..copies {
                let due = self.now + self.rng.below(self.weather.delay + 1);
                self.network.push((due, message.clone()));
            }
        }
        for apply in ready.apply {
            self.apply(id, apply);
        }
        for read in ready.reads {
            let least = self.reads.remove(&read).expect("a read that was asked for, once");
            let applied = self.places[id].applied;
            assert!(applied >= least, "a stale read: {least} was applied, here it is {applied}");
            self.answered += 1;
        }
    }

    fn apply(&mut self, id: usize, apply: Apply) {
        let place = &mut self.places[id];
        match apply {
            Apply::Snapshot(snapshot) => {
                let index = snapshot.position.index;
                assert!(index > place.applied, "an old snapshot is applied");
                assert_eq!(snapshot.state, index.to_string(), "the state of another index");
                place.applied = index;
            }
            Apply::Entry(index, payload) => {
                assert_eq!(index, place.applied + 1, "server {id} applies out of order");
                place.applied = index;
                let known = self.history.entry(index).or_insert_with(|| payload.clone());
                assert_eq!(*known, payload, "entry {index} is another one on server {id}");
            }
        }
    }
}

/// The voters by the disk that has come furthest.
fn voters_of(places: &[Place]) -> BTreeSet<Id> {
    let furthest = places.iter().max_by_key(|it| (it.applied, it.disk.last()));
    furthest.map(|it| it.disk.voters().1.iter().copied().collect()).unwrap_or_default()
}

/// A vote and an acknowledgement speak of what is on the disk.
fn require_durable(disk: &Saved, message: &Message) {
    assert!(disk.term >= message.term, "a message of a term that is not on the disk: {message:?}");
    match message.body {
        Body::Vote { granted: true } => {
            let vote = (disk.term, disk.vote);
            assert_eq!(vote, (message.term, Some(message.to)), "a vote that is not on the disk");
        }
        Body::RequestVote { .. } => {
            let vote = (disk.term, disk.vote);
            assert_eq!(vote, (message.term, Some(message.from)), "its own vote is not on the disk");
        }
        Body::Accepted { matched, .. } => {
            assert!(disk.last().index >= matched, "{matched} is acknowledged and not on the disk");
        }
        _ => {}
    }
}
