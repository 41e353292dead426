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
#[cfg(test)]
mod recovery;
mod server;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use env::clock::Timestamp;
use env::fs::FsError;
use env::random::{Random, SeededRandom};
use harness::check::history::History;
use harness::check::linearizable::check;
use harness::check::model::Register;
use harness::sim::{
    Actor, Command, Context, Family, Host, NodeId as Place, Script, Swarm, Trace, World,
};

use crate::storage::Storage;
use crate::{Config, Configuration, Incarnation, NodeId, ReadMode, RoleName};
use churn::Churn;
use client::{Client, Log};
use export::Export;
pub(crate) use oracle::Seen;
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

/// What a run is like, by its size and by what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Three servers.
    Three,
    /// Five of them.
    Five,
    /// Seven.
    Seven,
    /// Four, with leases, on clocks that run alike.
    Leases,
    /// Three with leases, whose leaders are cut off while they give leadership away.
    Transfers,
    /// Three, whose leaders are cut off while their clocks run slowly.
    Clocks,
}

impl Mix {
    /// All of them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Three, Self::Five, Self::Leases, Self::Transfers, Self::Clocks, Self::Seven];

    /// Its name for a command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Three => "three",
            Self::Five => "five",
            Self::Seven => "seven",
            Self::Leases => "leases",
            Self::Transfers => "transfers",
            Self::Clocks => "clocks",
        }
    }

    const fn servers(self) -> u32 {
        match self {
            Self::Three | Self::Transfers | Self::Clocks => 3,
            Self::Five => 5,
            Self::Seven => 7,
            Self::Leases => 4,
        }
    }

    /// From where scripts are drawn. Clients live on: what one that forgets its request must do is
    /// another matter.
    pub(crate) fn swarm(self) -> Swarm {
        let servers = self.servers();
        let mut swarm =
            Swarm { victims: servers, faults_max: 20, ..Swarm::new(servers + CLIENTS, FAULTS) };
        if matches!(self, Self::Leases | Self::Transfers) {
            swarm.families.retain(|family| *family != Family::Clocks);
        }
        if matches!(self, Self::Transfers | Self::Clocks) {
            swarm.faults_max = 4;
        }
        swarm
    }

    fn plan(self, seed: u64) -> Plan {
        let drawn = Plan::draw(seed, self.servers());
        let read_mode = match self {
            Self::Leases | Self::Transfers => ReadMode::Lease,
            Self::Three | Self::Five | Self::Seven | Self::Clocks => ReadMode::Quorum,
        };
        match self {
            Self::Transfers | Self::Clocks => {
                let churn = Some(Duration::from_millis(4));
                Plan { witnesses: 0, churn, read_mode, duels: Some(self), ..drawn }
            }
            Self::Three | Self::Five | Self::Seven | Self::Leases => Plan { read_mode, ..drawn },
        }
    }

    /// One run, and what came of it.
    pub(crate) fn observe(self, seed: u64, script: &Script) -> Outcome {
        observe(seed, script, self.plan(seed), World::new)
    }
}

/// What a run is like beside its script.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    servers: u32,
    founders: u32,
    /// So many founders, the last ones, are witnesses.
    witnesses: u32,
    /// Writes are finished some time after they were handed out.
    is_lazy: bool,
    read_mode: ReadMode,
    /// How often something is changed, where at all.
    churn: Option<Duration>,
    /// What an operator does is aimed at leaders, and clients hardly wait; which way.
    duels: Option<Mix>,
}

impl Plan {
    /// Requests of each client.
    const fn operations(&self) -> u32 {
        if self.duels.is_some() { 120 } else { 25 }
    }

    /// All requests.
    const fn wanted(&self) -> usize {
        (CLIENTS * self.operations()) as usize
    }

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
        Self { servers, founders, witnesses, is_lazy, read_mode, churn, duels: None }
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
            lease_margin_ticks: (self.read_mode == ReadMode::Lease).then_some(3),
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
    /// Of each server, its life and how much it had done when it was last looked at.
    looked: Vec<(u64, u64)>,
}

/// What a run gives: the verdict, and what happened.
pub(crate) struct Outcome {
    pub(crate) verdict: Result<(), String>,
    pub(crate) trace: Trace,
    /// Of its [`Export`].
    #[cfg(test)]
    events: String,
    pub(crate) elections: u64,
    pub(crate) committed: usize,
    pub(crate) steps: u64,
    /// States in which a server was seen.
    pub(crate) states: BTreeSet<Seen>,
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
                Ok(Node::Client(Client::new(host, &of_servers.plan, Rc::clone(&of_clients))))
            }
        };
        let world = world(seed, servers + CLIENTS, Box::new(start));
        Self { world, shared, log, events: 0, looked: vec![(0, 0); servers as usize] }
    }

    fn servers(&self) -> impl Iterator<Item = &Server> {
        servers(&self.world)
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
        for (at, server) in servers(&self.world).enumerate() {
            let doings = (server.life, server.doings);
            // Who has done nothing is as it was.
            let is_news = std::mem::replace(&mut self.looked[at], doings) != doings;
            if let Some(raft) = server.raft.as_ref().filter(|_| is_news) {
                oracle.look(raft.status().id, server.life, raft);
                self.shared.export.state(self.world.now(), server.life, &raft.status());
            }
        }
        if self.events.is_multiple_of(64) {
            let most = if self.events.is_multiple_of(4_096) { usize::MAX } else { 60 };
            let rafts: Vec<_> = self.servers().filter_map(|server| server.raft.as_ref()).collect();
            for (at, one) in rafts.iter().enumerate() {
                rafts[at + 1..].iter().for_each(|other| require_matching(one, other, most));
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
        done == self.shared.plan.wanted() && self.require_agreement().is_ok()
    }

    /// What is wrong at the end, after the calm.
    fn verdict(&self) -> Result<(), String> {
        let operations = std::mem::take(&mut self.log.borrow_mut().operations);
        let done = operations.iter().filter(|it| it.response.is_some()).count();
        let verdict = check(&Register(0), &History::from_operations(operations));
        if !verdict.is_linearizable() {
            return Err(verdict.to_string());
        }
        let wanted = self.shared.plan.wanted();
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
                let (stored, writes) = (raft.storage().last_index(), server.writes());
                return Err(format!(
                    "{} has not got what is committed, up to {commit}; stored {stored}, {writes} \
                     writes wait: {status:?}, leader {:?}",
                    status.id,
                    leader.status()
                ));
            }
        }
        Ok(())
    }
}

/// The servers that are up.
fn servers(world: &World<Node>) -> impl Iterator<Item = &Server> {
    world.actors().filter_map(|(_, node)| match node {
        Node::Server(server) => Some(&**server),
        Node::Client(_) => None,
    })
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
    let (elections, committed, states) = {
        let mut oracle = run.shared.oracle.borrow_mut();
        (oracle.elections, oracle.committed(), std::mem::take(&mut oracle.states))
    };
    Outcome {
        trace: run.world.trace().clone(),
        #[cfg(test)]
        events: run.shared.export.text(),
        elections,
        committed,
        steps: run.events,
        states,
        verdict: run.verdict(),
    }
}

#[cfg(test)]
mod tests;
