//! The rounds of one line: who is asked for what, in which order, and who is out.
//!
//! # What can happen to a contender
//!
//! | event                                | the contender is out | the others                       |
//! |--------------------------------------|----------------------|----------------------------------|
//! | declines the line                    | as a fact            | go on                            |
//! | panics                               | as a fault           | go on                            |
//! | does other work than the first one   | as a fault           | go on                            |
//! | hangs, or brings its process down    | as a fault           | are set up again in a new process; |
//! |                                      |                      | the round that was lost is not counted |
//!
//! Rounds stay paired through all of this: a round counts for all who stand at its end or for none.

use env::clock::{Clock, MonotonicClock};

use super::host::{Host, Hosting, Lost, Request, Response, Weight};
use super::metric;
use super::pass::{Latency, Sample};
use super::plan::Plan;
use super::subject::{Contender, Isolation, Line, OwnFigures};
use crate::record::{FailedLine, Ratio, Row};
use crate::rng::SplitMix64;

/// Seed of the order of contenders in each round.
const ORDER_SEED: u64 = 0xD0E1;

/// How much longer than planned the slowest entrant's part of a round may take.
const SLOWEST_PART: f64 = 16.0;

/// What became of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Figures of every contender that stood to the end.
    pub rows: Vec<Row>,
    /// Ours against each peer.
    pub ratios: Vec<Ratio>,
    /// Contenders without figures, and why.
    pub failures: Vec<FailedLine>,
}

/// A contender during the measurement of a line.
#[derive(Debug)]
pub(super) struct Entrant {
    pub(super) contender: Contender,
    /// Whether its host holds a subject for it.
    ready: bool,
    /// One sample a round, its passes together, by episode.
    pub(super) samples: Vec<Vec<Sample>>,
    pub(super) latencies: Vec<Latency>,
    /// What it has measured of itself, once an episode.
    pub(super) own_figures: Vec<OwnFigures>,
    pub(super) weights: Vec<Weight>,
    /// Why it is out.
    pub(super) out: Option<Out>,
}

/// Why a contender has no figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Out {
    pub(super) reason: String,
    pub(super) fault: bool,
}

impl Entrant {
    pub(super) fn new(contender: Contender) -> Self {
        Self {
            contender,
            ready: false,
            samples: Vec::new(),
            latencies: Vec::new(),
            own_figures: Vec::new(),
            weights: Vec::new(),
            out: None,
        }
    }
}

/// Measures one line. `step` is told after each episode, and for each that had no time.
pub(super) fn measure(
    line: &Line,
    plan: &Plan,
    hosting: &dyn Hosting,
    step: &mut dyn FnMut(),
) -> Outcome {
    let plan = &plan.for_line(line);
    let mut bout = Bout::new(line, plan, hosting);
    let (start, mut done) = (bout.clock.now(), 0);
    while done < plan.episodes && !plan.is_enough(done, bout.clock.now().saturating_since(start)) {
        bout.episode();
        done += 1;
        step();
    }
    (done..plan.episodes).for_each(|_| step());
    metric::conclude(line, &bout.entrants)
}

/// A line being measured.
struct Bout<'a> {
    line: &'a Line,
    plan: &'a Plan,
    hosting: &'a dyn Hosting,
    clock: MonotonicClock,
    /// One host where contenders share it, else one each.
    hosts: Vec<Option<Box<dyn Host>>>,
    entrants: Vec<Entrant>,
    order: SplitMix64,
    /// The order of the next round, where that is the way back of the one before.
    way_back: Option<Vec<usize>>,
    round: u64,
    /// Operations of one pass; zero until calibrated.
    operations: u64,
}

impl<'a> Bout<'a> {
    fn new(line: &'a Line, plan: &'a Plan, hosting: &'a dyn Hosting) -> Self {
        let entrants: Vec<_> = line.contenders.iter().copied().map(Entrant::new).collect();
        Self {
            line,
            plan,
            hosting,
            clock: MonotonicClock::new(),
            hosts: entrants.iter().map(|_| None).collect(),
            entrants,
            order: SplitMix64::new(ORDER_SEED),
            way_back: None,
            round: 0,
            operations: 0,
        }
    }

    /// Fresh processes, fresh subjects, then rounds with them.
    fn episode(&mut self) {
        self.hosts.iter_mut().for_each(|host| *host = None);
        for entrant in &mut self.entrants {
            entrant.ready = false;
            entrant.samples.push(Vec::new());
        }
        self.make_ready();
        if self.operations == 0 {
            self.operations = match self.line.exactly {
                Some(operations) => operations.at(self.plan.size),
                None => self.calibrate(),
            };
        }
        let start = self.clock.now();
        for _ in 0..self.plan.rounds {
            self.make_ready();
            self.play();
            if self.plan.is_episode_full(self.clock.now().saturating_since(start)) {
                break;
            }
        }
        self.ask_figures();
        if let Some(rate) = self.line.offered {
            self.pace(rate);
        }
        if self.line.isolation == Isolation::Separate {
            self.weigh();
        }
    }

    /// Sets up every standing entrant that has no subject. Where each has a process of its own all
    /// do it at once: to load a store takes longer than to measure it.
    fn make_ready(&mut self) {
        let is_due = |it: &Entrant| !it.ready && it.out.is_none();
        let due = |it: &Self| -> Vec<usize> {
            (0..it.entrants.len()).filter(|index| is_due(&it.entrants[*index])).collect()
        };
        if self.line.isolation == Isolation::Separate {
            for index in due(self) {
                let request = self.set_up(index);
                if let Ok(host) = self.host(index) {
                    host.begin(&request);
                }
            }
        }
        for index in due(self) {
            if self.ask(index, &self.set_up(index)).is_some() {
                self.entrants[index].ready = true;
            }
        }
    }

    fn set_up(&self, index: usize) -> Request {
        let contender = self.entrants[index].contender.name.to_owned();
        Request::SetUp { contender, size: self.plan.size }
    }

    /// Asks an entrant's host; `None` where the entrant is out, also from now on.
    fn ask(&mut self, index: usize, request: &Request) -> Option<Response> {
        let place = match self.line.isolation {
            Isolation::Shared => 0,
            Isolation::Separate => index,
        };
        let answer = self.answer(place, request);
        let out = match answer {
            Ok(Response::Out { reason, fault }) => Out { reason, fault },
            Ok(response) => return Some(response),
            Err(lost) => {
                self.hosts[place] = None;
                let sharing = self.line.isolation == Isolation::Shared;
                for (other, entrant) in self.entrants.iter_mut().enumerate() {
                    entrant.ready &= !(sharing || other == index);
                }
                Out { reason: lost.to_string(), fault: true }
            }
        };
        self.entrants[index].out = Some(out);
        None
    }

    fn answer(&mut self, place: usize, request: &Request) -> Result<Response, Lost> {
        let limit = self.plan.limit;
        self.host(place)?.call(request, limit)
    }

    fn host(&mut self, place: usize) -> Result<&mut dyn Host, Lost> {
        let host = match &mut self.hosts[place] {
            Some(host) => host,
            empty => {
                let contender = self.entrants[place].contender.name;
                empty.insert(self.hosting.host(self.line, contender)?)
            }
        };
        Ok(&mut **host)
    }

    /// Indices of the entrants that stand and have a subject.
    fn standing(&self) -> Vec<usize> {
        let stands = |index: &usize| {
            let entrant = &self.entrants[*index];
            entrant.ready && entrant.out.is_none()
        };
        (0..self.entrants.len()).filter(stands).collect()
    }

    /// One timed pass; `None` where the entrant has no subject, or none any more.
    fn run(&mut self, index: usize, operations: u64) -> Option<Sample> {
        if !self.entrants[index].ready {
            return None;
        }
        let contender = self.entrants[index].contender.name.to_owned();
        let request = Request::Run { contender, round: self.round, operations };
        match self.ask(index, &request)? {
            Response::Ran(sample) => Some(sample),
            other => unreachable!("a run was answered by {other:?}"),
        }
    }

    /// Operations that take the fastest entrant about as long as the plan says, or the slowest one
    /// [`SLOWEST_PART`] times as long: an entrant that does nothing must not make the others work
    /// for ever.
    fn calibrate(&mut self) -> u64 {
        let target = self.plan.part_ns as f64;
        let mut operations = 64_u64;
        loop {
            self.make_ready();
            let mut parts = Vec::new();
            for index in self.standing() {
                parts.extend(self.run(index, operations).map(|sample| sample.wall_ns));
            }
            let fastest = parts.iter().copied().fold(f64::INFINITY, f64::min);
            let slowest = parts.iter().copied().fold(0.0, f64::max);
            if parts.is_empty() || fastest >= target || slowest >= target * SLOWEST_PART {
                return operations;
            }
            operations *= 2;
        }
    }

    /// The turns of a round: every entrant once in a random order and once in the reverse. Where a
    /// pass is a whole that is dear, the way back is the next round: two would take as long, and
    /// would be of one process.
    fn turns(&mut self, standing: &[usize]) -> Vec<usize> {
        let still_stand = |back: &Vec<usize>| {
            back.len() == standing.len() && back.iter().all(|index| standing.contains(index))
        };
        if let Some(back) = self.way_back.take().filter(still_stand) {
            return back;
        }
        let mut turns = standing.to_vec();
        self.order.shuffle(&mut turns);
        let back: Vec<_> = turns.iter().rev().copied().collect();
        if self.line.costly && self.line.exactly.is_some() {
            self.way_back = Some(back);
        } else {
            turns.extend(back);
        }
        turns
    }

    /// One round.
    fn play(&mut self) {
        self.round += 1;
        let standing = self.standing();
        let mut sums = vec![Sample::default(); self.entrants.len()];
        for index in self.turns(&standing) {
            if self.entrants[index].out.is_some() {
                continue;
            }
            if !self.entrants[index].ready {
                // Its process is lost, and with it what the others have done in this round.
                return;
            }
            if let Some(sample) = self.run(index, self.operations) {
                sums[index].add(&sample);
            }
        }
        let whole = |index: &usize| {
            let entrant = &self.entrants[*index];
            entrant.out.is_some() || entrant.ready
        };
        if standing.iter().all(whole) {
            self.count(&standing, &sums);
        }
    }

    /// Counts a round for all who stand and did the same work.
    fn count(&mut self, standing: &[usize], sums: &[Sample]) {
        let mut expected = None;
        for &index in standing {
            let entrant = &mut self.entrants[index];
            if entrant.out.is_some() {
                continue;
            }
            let found = sums[index].fingerprint;
            let expected = *expected.get_or_insert(found);
            if found == expected {
                entrant.samples.last_mut().expect("an episode has begun").push(sums[index]);
            } else {
                let reason = format!(
                    "did other work than the first contender: fingerprint {found}, not {expected}"
                );
                entrant.out = Some(Out { reason, fault: true });
            }
        }
    }

    /// Latency under an offered load, every entrant once, in random order.
    fn pace(&mut self, rate: u64) {
        self.make_ready();
        let mut order = self.standing();
        self.order.shuffle(&mut order);
        for index in order {
            let contender = self.entrants[index].contender.name.to_owned();
            let request = Request::Pace { contender, rate, length_ns: self.plan.paced_ns };
            // A process that was lost on the way took the subjects of the others with it.
            self.make_ready();
            match self.ask(index, &request) {
                Some(Response::Paced(latency)) => self.entrants[index].latencies.push(latency),
                Some(other) => unreachable!("a paced pass was answered by {other:?}"),
                None => {}
            }
        }
    }

    /// What each entrant has measured of itself in this episode.
    fn ask_figures(&mut self) {
        for index in self.standing() {
            let contender = self.entrants[index].contender.name.to_owned();
            match self.ask(index, &Request::OwnFigures { contender }) {
                Some(Response::Measured(figures)) => {
                    self.entrants[index].latencies.extend(figures.latency);
                    self.entrants[index].own_figures.push(figures);
                }
                Some(other) => unreachable!("own figures were answered by {other:?}"),
                None => {}
            }
        }
    }

    /// What the process of each entrant weighs.
    fn weigh(&mut self) {
        for index in self.standing() {
            let contender = self.entrants[index].contender.name.to_owned();
            match self.ask(index, &Request::Weigh { contender }) {
                Some(Response::Weighs(weight)) => self.entrants[index].weights.push(weight),
                Some(other) => unreachable!("a weighing was answered by {other:?}"),
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
