//! Clusters in a simulated world, under all that a script can do to them.
//!
//! ```text
//!   clients ---> servers <---> servers      0 .. FAULTS        a script of faults; and changes of
//!                  |                                           members, transfers, snapshots,
//!                simulated disk                                wiped disks, drawn from the seed
//!                                           FAULTS .. CALM     all is mended: a leader, every
//!      oracle looks after each event                           request answered, one log
//! ```
//!
//! `SEEDS=10000 cargo test -p raft@0.0.0 simulation` runs more of them.

mod churn;
mod client;
mod export;
mod machine;
mod oracle;
mod recovery;
mod server;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use env::clock::Timestamp;
use env::fs::{FsError, FsExt, OsFs};
use env::random::{Random, SeededRandom};
use harness::check::history::History;
use harness::check::linearizable::check;
use harness::check::model::Register;
use harness::sim::{
    Actor, Command, Context, Coverage, Family, Fault, Host, NodeId as Place, Script, Swarm, Trace,
    World, survive,
};

use crate::{Config, Configuration, Incarnation, NodeId, ReadMode, RoleName};
use churn::Churn;
use client::{Client, Log};
use export::Export;
use oracle::{Oracle, require_matching};
use server::{Server, Shared, Wire};

/// A tick of the core.
const TICK: Duration = Duration::from_millis(2);

/// How long faults last.
const FAULTS: Duration = Duration::from_millis(400);

/// How long after them everything must be well: 2,400 ticks, or 1,200 of a clock that still runs
/// at half its rate, which are 120 election timeouts. Mostly it is after a tenth of that.
const CALM: Duration = Duration::from_millis(4_800);

/// How often one looks whether it is.
const LOOK: Duration = Duration::from_millis(200);

const CLIENTS: u32 = 2;

/// Requests of each client.
const OPERATIONS: u32 = 25;

/// What a run is like beside its script.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    servers: u32,
    founders: u32,
    /// So many founders, the last ones, are witnesses.
    witnesses: u32,
    /// Writes are finished some time after they were handed out.
    is_lazy: bool,
    read_mode: ReadMode,
    /// How often something is changed, where at all.
    churn: Option<Duration>,
}

impl Plan {
    fn draw(seed: u64, servers: u32) -> Self {
        let mut random = SeededRandom::new(seed ^ 0x0050_4C41_4E00);
        let spares = if servers > 3 { random.below(3) } else { 0 };
        let founders = servers - u32::try_from(spares).expect("it is small");
        let is_lazy = random.below(2) == 0;
        let churn = [None, Some(60), Some(20), Some(7)];
        let churn = churn[usize::try_from(random.below(4)).expect("4")].map(Duration::from_millis);
        let witnesses = match random.below(3) {
            0 => 1 + random.below(u64::from(founders / 2)),
            _ => 0,
        };
        let witnesses = u32::try_from(witnesses).expect("it is small");
        let read_mode = ReadMode::Quorum;
        Self { servers, founders, witnesses, is_lazy, read_mode, churn }
    }

    /// The disk of a server that has lost `wipes` of them.
    fn incarnation(&self, id: NodeId, wipes: u64) -> Incarnation {
        let founders = u64::from(self.founders - self.witnesses) + 1..=u64::from(self.founders);
        if founders.contains(&id.0) {
            return Incarnation::witness(wipes);
        }
        Incarnation(wipes)
    }

    /// Small limits, so that all of them are met.
    fn config(&self, id: NodeId, seed: u64) -> Config {
        Config {
            read_mode: self.read_mode,
            rank: u32::try_from(id.0 % 2).expect("it is small"),
            message_bytes_max: 200,
            inflight_max: 3,
            inflight_bytes_max: 500,
            apply_bytes_max: 300,
            chunk_bytes: 24,
            ..Config::new(id, seed)
        }
    }

    fn founding(&self, id: NodeId) -> Configuration {
        let founders = (1..=u64::from(self.founders)).map(NodeId);
        if id.0 > u64::from(self.founders) {
            return Configuration::default();
        }
        let members = founders.map(|id| (id, self.incarnation(id, 0)));
        Configuration::founding_with(members).expect("a minority are witnesses")
    }
}

/// What is at a place of the world.
#[derive(Debug)]
enum Node {
    Server(Box<Server>),
    Client(Client),
}

impl Actor for Node {
    type Message = Wire;

    fn on_start(&mut self, context: &mut Context<'_, Wire>) {
        match self {
            Self::Server(server) => server.on_start(context),
            Self::Client(client) => client.plan(context),
        }
    }

    fn on_message(&mut self, from: Place, wire: Wire, context: &mut Context<'_, Wire>) {
        match self {
            Self::Server(server) => server.on_message(from, wire, context),
            Self::Client(client) => client.on_message(&wire, context),
        }
    }

    fn on_timer(&mut self, token: u64, context: &mut Context<'_, Wire>) {
        match self {
            Self::Server(server) => server.on_timer(token, context),
            Self::Client(client) => client.on_timer(token, context),
        }
    }
}

type Factory = Box<dyn FnMut(Host) -> Result<Node, FsError>>;

/// A run under way.
struct Run {
    world: World<Node>,
    shared: Rc<Shared>,
    log: Rc<RefCell<Log>>,
    events: u64,
}

/// What a run gives: the verdict, and what happened.
struct Outcome {
    verdict: Result<(), String>,
    trace: Trace,
    /// Of its [`Export`].
    events: String,
    elections: u64,
    committed: usize,
}

impl Run {
    fn new(
        seed: u64,
        plan: Plan,
        export: Export,
        world: fn(u64, u32, Factory) -> World<Node>,
    ) -> Self {
        let servers = plan.servers;
        let (oracle, wipes) = (RefCell::new(Oracle::default()), RefCell::new(BTreeMap::new()));
        let shared = Rc::new(Shared { plan, oracle, export, wipes });
        let log = Rc::new(RefCell::new(Log::default()));
        let (of_servers, of_clients) = (Rc::clone(&shared), Rc::clone(&log));
        let start = move |host: Host| {
            if host.id.0 <= servers {
                let server = Server::open(host, Rc::clone(&of_servers))?;
                Ok(Node::Server(Box::new(server)))
            } else {
                Ok(Node::Client(Client::new(host, servers, Rc::clone(&of_clients))))
            }
        };
        let world = world(seed, servers + CLIENTS, Box::new(start));
        Self { world, shared, log, events: 0 }
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        self.world.actors().filter_map(|(_, node)| match node {
            Node::Server(server) => Some(&**server),
            Node::Client(_) => None,
        })
    }

    /// Lets the world go on, and looks at it after each event.
    fn run_until(&mut self, deadline: Timestamp) {
        while self.world.step_until(deadline) {
            self.look();
        }
    }

    fn look(&mut self) {
        self.events += 1;
        let mut oracle = self.shared.oracle.borrow_mut();
        for server in self.servers() {
            if let Some(raft) = &server.raft {
                oracle.look(raft.status().id, server.life, raft);
                self.shared.export.state(self.world.now(), server.life, &raft.status());
            }
        }
        if self.events.is_multiple_of(64) {
            let rafts: Vec<_> = self.servers().filter_map(|server| server.raft.as_ref()).collect();
            for (at, one) in rafts.iter().enumerate() {
                rafts[at + 1..].iter().for_each(|other| require_matching(one, other));
            }
        }
    }

    /// Lets the world go on until all is well, or for as long as that may take.
    fn calm_down(&mut self) {
        let end = self.world.now() + CALM;
        while self.world.now() < end && !self.is_well() {
            self.run_until((self.world.now() + LOOK).min(end));
        }
    }

    fn is_well(&self) -> bool {
        let operations = &self.log.borrow().operations;
        let done = operations.iter().filter(|it| it.response.is_some()).count();
        done == (CLIENTS * OPERATIONS) as usize && self.require_agreement().is_ok()
    }

    /// What is wrong at the end, after the calm.
    fn verdict(&self) -> Result<(), String> {
        let operations = std::mem::take(&mut self.log.borrow_mut().operations);
        let done = operations.iter().filter(|it| it.response.is_some()).count();
        let verdict = check(&Register(0), &History::from_operations(operations));
        if !verdict.is_linearizable() {
            return Err(verdict.to_string());
        }
        let wanted = (CLIENTS * OPERATIONS) as usize;
        if done < wanted {
            return Err(format!("only {done} of {wanted} requests were answered"));
        }
        self.require_agreement()
    }

    /// One leader, and every member has its log.
    fn require_agreement(&self) -> Result<(), String> {
        let rafts: Vec<_> = self.servers().filter_map(|server| server.raft.as_ref()).collect();
        let leaders = rafts.iter().filter(|raft| raft.status().role == RoleName::Leader);
        let Some(leader) = leaders.max_by_key(|raft| raft.status().term) else {
            return Err("nobody leads in the end".to_owned());
        };
        let configuration = leader.configuration();
        if configuration.is_joint() {
            return Err(format!("the configuration is joint in the end: {configuration:?}"));
        }
        let commit = leader.status().commit;
        for server in self.servers() {
            let Some(raft) = &server.raft else { return Err("a disk stays broken".to_owned()) };
            let status = raft.status();
            let is_member = configuration.incarnation(status.id) == Some(server.incarnation);
            if is_member && status.applied < commit {
                return Err(format!("{} has not got what is committed: {status:?}", status.id));
            }
        }
        Ok(())
    }
}

fn observe(
    seed: u64,
    script: &Script,
    plan: Plan,
    world: fn(u64, u32, Factory) -> World<Node>,
) -> Outcome {
    play(seed, script, plan.churn, Run::new(seed, plan, Export::default(), world))
}

/// Plays a script, and the changes that the seed brings, to the end.
fn play(seed: u64, script: &Script, churn: Option<Duration>, mut run: Run) -> Outcome {
    let mut churn = Churn::new(seed, churn);
    run.world.play(script);
    let end = Timestamp::ZERO + FAULTS;
    while run.world.now() < end {
        let next = churn.next(run.world.now()).min(end);
        run.run_until(next);
        churn.act(&mut run);
    }
    run.world.inject(&Command::Recover);
    run.calm_down();
    let (elections, committed) = {
        let oracle = run.shared.oracle.borrow();
        (oracle.elections, oracle.committed())
    };
    let (trace, events) = (run.world.trace().clone(), run.shared.export.text());
    Outcome { verdict: run.verdict(), trace, events, elections, committed }
}

/// Clients live on: what one that forgets its request must do is another matter.
pub(super) fn swarm(servers: u32) -> Swarm {
    Swarm { victims: servers, faults_max: 20, ..Swarm::new(servers + CLIENTS, FAULTS) }
}

/// A swarm without clocks that run at different rates, for leases.
pub(super) fn steady(servers: u32) -> Swarm {
    let mut swarm = swarm(servers);
    swarm.families.retain(|family| *family != Family::Clocks);
    swarm
}

pub(super) fn run(seed: u64, script: &Script, servers: u32) -> Result<(), String> {
    observe(seed, script, Plan::draw(seed, servers), World::new).verdict
}

pub(super) fn run_with_leases(seed: u64, script: &Script, servers: u32) -> Result<(), String> {
    let read_mode = ReadMode::Lease { lease_margin_ticks: 3 };
    observe(seed, script, Plan { read_mode, ..Plan::draw(seed, servers) }, World::new).verdict
}

#[test]
fn clusters_of_three_survive() {
    survive("simulation::clusters_of_three", 150, &swarm(3), |seed, script| run(seed, script, 3));
}

#[test]
fn clusters_of_five_survive() {
    survive("simulation::clusters_of_five", 150, &swarm(5), |seed, script| run(seed, script, 5));
}

#[test]
fn clusters_of_seven_survive() {
    survive("simulation::clusters_of_seven", 60, &swarm(7), |seed, script| run(seed, script, 7));
}

#[test]
fn clusters_with_leases_survive() {
    survive("simulation::clusters_with_leases", 150, &steady(4), |seed, script| {
        run_with_leases(seed, script, 4)
    });
}

#[test]
fn one_seed_is_one_run_byte_for_byte() {
    let mut hashes = Vec::new();
    for seed in 0..4 {
        let script = swarm(5).draw(seed);
        let traced = || observe(seed, &script, Plan::draw(seed, 5), World::traced).trace;
        let (first, second) = (traced(), traced());
        assert!(first.text() == second.text(), "seed {seed} gives two runs");
        assert_eq!(first.hash(), second.hash());
        hashes.push(first.hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 4, "each seed is a run of its own");
}

#[test]
fn faults_and_progress_really_happen() {
    let (mut coverage, mut elections, mut committed) = (Coverage::default(), 0, 0);
    for seed in 0..600 {
        let outcome = observe(seed, &swarm(5).draw(seed), Plan::draw(seed, 5), World::new);
        coverage.merge(&outcome.trace.coverage());
        elections += outcome.elections;
        committed += outcome.committed;
    }
    println!("{coverage}{elections} elections, {committed} entries");
    let mut missing = coverage.missing();
    // A write rarely spans two sectors. That a sector is torn is the harder case.
    missing.retain(|fault| *fault != Fault::WriteTorn);
    // Disks that lie are not borne by servers that believe them.
    assert_eq!(missing, [Fault::BitFlip, Fault::LostSync], "never happened");
    assert!(elections > 500 && committed > 10_000);
}

/// Every line is an event that another program can read; `NDJSON` names a file for them.
#[test]
fn a_run_is_exported() {
    let number = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    let seed = number.unwrap_or(7);
    let plan = Plan::draw(seed, 5);
    let (script, churn) = (swarm(5).draw(seed), plan.churn);
    let outcome = play(seed, &script, churn, Run::new(seed, plan, Export::on(), World::new));
    let mut counts = BTreeMap::<String, u64>::new();
    for line in outcome.events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        assert!(event["at"].is_u64(), "each event has its time: {line}");
        let kind = event["event"].as_str().expect("each event has its kind").to_owned();
        *counts.entry(kind).or_default() += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["apply", "send", "state"], "{counts:?}");
    assert!(counts.values().all(|count| *count > 100), "{counts:?}");
    let plain = observe(seed, &script, Plan::draw(seed, 5), World::new);
    assert_eq!(plain.trace.hash(), outcome.trace.hash(), "to look at a run does not change it");
    if let Some(path) = std::env::var_os("NDJSON") {
        OsFs.write_atomic(Path::new(&path), outcome.events.as_bytes()).expect("it can be written");
    }
}
