//! Authority and members in the simulated world: no fault may push the sum above the quota.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::contract::LimiterSpec;
use harness::model::ExactBucket;
use harness::sim::{Actor, Context, Family, Host, NodeId, Script, SimClock, Swarm, World};

use super::{Ask, Authority, Grant, Member, MemberId, Terms, TermsError};
use crate::{Quota, Timestamp};

const AUTHORITY: NodeId = NodeId(1);
const TICK: Duration = Duration::from_millis(1);

/// Nanoseconds for which members that hoard do nothing else, mostly.
const HOARDED: u64 = 90_000_000;

const TERMS: Terms = Terms {
    held: 30,
    lease: 20,
    ttl: Duration::from_millis(200),
    drift_ppm: 20_000,
    patience: Duration::from_millis(10),
};

fn quota() -> Quota {
    Quota::per_second(1_000).unwrap().with_burst(100).unwrap()
}

#[derive(Clone, Debug)]
enum Message {
    Ask(MemberId, Ask),
    Grant(MemberId, Grant),
}

/// When cells were spent, in true time.
type Ledger = Arc<Mutex<Vec<Timestamp>>>;

enum Node {
    Authority(Option<Box<Authority>>, Terms),
    Member { id: MemberId, member: Member, ledger: Ledger, clock: Arc<SimClock>, hoards: bool },
}

impl Actor for Node {
    type Message = Message;

    fn on_start(&mut self, context: &mut Context<'_, Message>) {
        match self {
            Self::Authority(authority, terms) => {
                let started = Authority::new(quota(), *terms, context.now()).unwrap();
                *authority = Some(Box::new(started));
            }
            Self::Member { .. } => context.set_timer(0, TICK),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, context: &mut Context<'_, Message>) {
        match (self, message) {
            (Self::Authority(Some(authority), _), Message::Ask(id, ask)) => {
                if let Some(grant) = authority.handle(context.now(), id, ask) {
                    context.send(from, Message::Grant(id, grant));
                }
            }
            (Self::Member { id, member, .. }, Message::Grant(to, grant)) if *id == to => {
                member.receive(grant);
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, _: u64, context: &mut Context<'_, Message>) {
        let Self::Member { id, member, ledger, clock, hoards } = self else { return };
        // All that there is, or nothing, so that leases grow old before they are spent together.
        let hoards = *hoards && context.now().as_nanos() % HOARDED > 5_000_000;
        while !hoards && member.check(context.now(), 1) {
            ledger.lock().unwrap().push(clock.true_now());
        }
        if let Some(ask) = member.poll(context.now()) {
            context.send(AUTHORITY, Message::Ask(*id, ask));
        }
        context.set_timer(0, TICK);
    }
}

/// What members spent in two seconds of a script, and whether it was within the quota.
fn run(seed: u64, script: &Script, authority: Terms, hoards: bool) -> (usize, Result<(), String>) {
    let ledger = Ledger::default();
    let (shared, mut names) = (Arc::clone(&ledger), 0);
    let mut world = World::new(seed, 4, move |host: Host| {
        if host.id == AUTHORITY {
            return Ok::<_, String>(Node::Authority(None, authority));
        }
        names += 1;
        let (id, member) = (MemberId(names), Member::new(TERMS));
        let (ledger, clock) = (Arc::clone(&shared), host.clock);
        Ok(Node::Member { id, member, ledger, clock, hoards })
    });
    world.play(script);
    world.run_for(Duration::from_secs(2));
    let mut spent = ledger.lock().unwrap().clone();
    spent.sort_unstable();
    // The authority's own clock is the measure of the rate; here it is true.
    let mut bucket =
        ExactBucket::new(&LimiterSpec { cells: 1_000, period: Duration::from_secs(1), burst: 100 });
    let above = spent
        .iter()
        .find(|moment| !bucket.check(moment.saturating_since(Timestamp::ZERO), 1).is_admit());
    (spent.len(), above.map_or(Ok(()), |moment| Err(format!("above the quota at {moment}"))))
}

fn swarm() -> Swarm {
    let families = vec![Family::Links, Family::Partitions, Family::Pauses, Family::Crashes];
    let until = Duration::from_millis(1_500);
    Swarm { families, ..Swarm::new(4, until) }
}

/// A script of the swarm, with clocks that run fast and slow.
fn skewed(seed: u64) -> Script {
    let clocks = "clock 2 rate 0.981\nclock 3 rate 1.019\nclock 4 rate 0.99";
    let mut script: Script = clocks.parse().unwrap();
    script.lines.extend(swarm().draw(seed).lines);
    script
}

#[test]
fn a_quiet_cluster_spends_nearly_all() {
    let (spent, verdict) = run(1, &Script::default(), TERMS, false);
    assert_eq!(verdict, Ok(()));
    // Two seconds, but for the first lease time, in which only the bucket fills.
    assert!((1_700..=1_900).contains(&spent), "{spent}");
}

#[test]
fn no_fault_pushes_the_sum_above_the_quota() {
    for seed in 0..200 {
        for hoards in [false, true] {
            let (_, verdict) = run(seed, &skewed(seed), TERMS, hoards);
            assert_eq!(verdict, Ok(()), "seed {seed}, hoarding: {hoards}");
        }
    }
}

#[test]
fn a_dead_member_costs_its_lease_and_no_more() {
    let script = "at 500ms kill 2\nat 500ms kill 3".parse().unwrap();
    let (spent, verdict) = run(1, &script, TERMS, false);
    assert_eq!(verdict, Ok(()));
    assert!(spent > 1_300, "{spent}: the living should have had the rest");
}

/// An authority that forgets leases earlier than members do is found.
#[test]
fn planted_short_memory_is_found() {
    let short = Terms { ttl: Duration::from_millis(1), ..TERMS };
    let found = (0..300).any(|seed| run(seed, &skewed(seed), short, true).1.is_err());
    assert!(found, "the simulation does not go where it hurts");
}

#[test]
fn terms_that_leave_nothing_are_refused() {
    for held in [0, 100, 101] {
        let terms = Terms { held, ..TERMS };
        let refused = Authority::new(quota(), terms, Timestamp::ZERO).unwrap_err();
        assert_eq!(refused, TermsError::Held { held, burst: 100 });
    }
}
