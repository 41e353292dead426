//! Authority and members in the simulated world: no fault may push the sum above the quota.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::contract::LimiterSpec;
use harness::model::ExactBucket;
use harness::sim::{Actor, Context, Family, Host, NodeId, Script, SimClock, Swarm, World};

use super::{Ask, Authority, Grant, Member, MemberId, Terms, TermsError};
use crate::{Clock, Quota, Timestamp};

const AUTHORITY: NodeId = NodeId(1);
const TICK: Duration = Duration::from_millis(1);

/// Nanoseconds after which members that hoard spend all, and for how long. By the authority's
/// clock, so that they do it together, when it has just forgotten what they took the last time.
const HOARDED: u64 = 230_000_000;
const SPENDING: u64 = 20_000_000;

const TERMS: Terms = Terms {
    held: 30,
    lease: 20,
    ttl: Duration::from_millis(200),
    drift_ppm: 100_000,
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

/// When cells were spent, by the authority's clock.
type Ledger = Arc<Mutex<Vec<Timestamp>>>;

enum Node {
    Authority { authority: Option<Box<Authority>>, terms: Terms, compacts: bool },
    Member { id: MemberId, member: Member, ledger: Ledger, measure: Arc<SimClock>, hoards: bool },
}

impl Actor for Node {
    type Message = Message;

    fn on_start(&mut self, context: &mut Context<'_, Message>) {
        match self {
            Self::Authority { authority, terms, .. } => {
                let started = Authority::new(quota(), *terms, context.now()).unwrap();
                *authority = Some(Box::new(started));
            }
            Self::Member { .. } => context.set_timer(0, TICK),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, context: &mut Context<'_, Message>) {
        match (self, message) {
            (
                Self::Authority { authority: Some(authority), terms, compacts },
                Message::Ask(id, ask),
            ) => {
                if *compacts {
                    let state = authority.state();
                    **authority = Authority::from_state(quota(), *terms, state).unwrap();
                }
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
        let Self::Member { id, member, ledger, measure, hoards } = self else { return };
        // All that there is, or nothing, so that leases grow old before they are spent together.
        let hoards = *hoards && measure.now().as_nanos() % HOARDED > SPENDING;
        while !hoards && member.check(context.now(), 1) {
            ledger.lock().unwrap().push(measure.now());
        }
        if let Some(ask) = member.poll(context.now()) {
            context.send(AUTHORITY, Message::Ask(*id, ask));
        }
        context.set_timer(0, TICK);
    }
}

/// What is agreed on, or believed to be.
#[derive(Clone, Copy)]
struct Believed {
    authority: Terms,
    members: Terms,
    /// Whether the authority goes through its snapshot before each ask.
    compacts: bool,
}

const AGREED: Believed = Believed { authority: TERMS, members: TERMS, compacts: false };

/// What members spent in two seconds of a script, and whether it was within the quota.
fn run(
    seed: u64,
    script: &Script,
    believed: Believed,
    hoards: bool,
) -> (usize, Result<(), String>) {
    let ledger = Ledger::default();
    let (shared, mut names, mut measure) = (Arc::clone(&ledger), 0, None);
    let mut world = World::new(seed, 4, move |host: Host| {
        // The authority, which is made first, keeps the quota by its own clock.
        let measure = Arc::clone(measure.get_or_insert(Arc::clone(&host.clock)));
        if host.id == AUTHORITY {
            let Believed { authority: terms, compacts, .. } = believed;
            return Ok::<_, String>(Node::Authority { authority: None, terms, compacts });
        }
        names += 1;
        let id = MemberId(names);
        let member = Member::new(believed.members).map_err(|error| error.to_string())?;
        Ok(Node::Member { id, member, ledger: Arc::clone(&shared), measure, hoards })
    });
    world.play(script);
    world.run_for(Duration::from_secs(2));
    let mut spent = ledger.lock().unwrap().clone();
    spent.sort_unstable();
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
    // The members' leases last longest, in true time, and the authority's memory of them least.
    let clocks = "clock 1 rate 1.098\nclock 2 rate 0.902\nclock 3 rate 0.902\nclock 4 rate 1.05";
    let mut script: Script = clocks.parse().unwrap();
    script.lines.extend(swarm().draw(seed).lines);
    script
}

#[test]
fn a_quiet_cluster_spends_nearly_all() {
    let (spent, verdict) = run(1, &Script::default(), AGREED, false);
    assert_eq!(verdict, Ok(()));
    // Two seconds, but for the first lease time, in which only the bucket fills.
    assert!((1_700..=1_900).contains(&spent), "{spent}");
}

#[test]
fn no_fault_pushes_the_sum_above_the_quota() {
    for seed in 0..200 {
        for hoards in [false, true] {
            let (_, verdict) = run(seed, &skewed(seed), AGREED, hoards);
            assert_eq!(verdict, Ok(()), "seed {seed}, hoarding: {hoards}");
        }
    }
}

/// An authority that is restored before each ask grants to the cell what one grants that runs on.
#[test]
fn a_snapshot_is_all_that_an_authority_knows() {
    let compacting = Believed { compacts: true, ..AGREED };
    for seed in 0..50 {
        let (script, hoards) = (skewed(seed), seed % 2 == 0);
        let (restored, expected) =
            (run(seed, &script, compacting, hoards), run(seed, &script, AGREED, hoards));
        assert_eq!(restored, expected, "seed {seed}, hoarding: {hoards}");
    }
}

#[test]
fn states_of_other_authorities_are_refused() {
    let mut authority = Authority::new(quota(), TERMS, Timestamp::ZERO).unwrap();
    let ask = Ask { id: 1, want: 20, settled: 0 };
    let later = Timestamp::ZERO + TERMS.ttl;
    assert_eq!(authority.handle(later, MemberId(1), ask), Some(Grant { id: 1, cells: 20 }));
    let state = authority.state();
    let restored = Authority::from_state(quota(), TERMS, state.clone()).unwrap();
    assert_eq!((restored.state(), restored.held()), (state.clone(), 20));
    let fewer = Terms { held: 19, ..TERMS };
    let refused = |terms, state| Authority::from_state(quota(), terms, state).unwrap_err();
    assert_eq!(refused(fewer, state.clone()), TermsError::State);
    let nothing = Terms { lease: 0, ..TERMS };
    assert_eq!(refused(nothing, state.clone()), TermsError::Lease);
    for tat in [u64::MAX.into(), u128::MAX] {
        let state = super::AuthorityState { tat, ..state.clone() };
        assert_eq!(refused(TERMS, state), TermsError::State);
    }
}

#[test]
fn a_dead_member_costs_its_lease_and_no_more() {
    let script = "at 500ms kill 2\nat 500ms kill 3".parse().unwrap();
    let (spent, verdict) = run(1, &script, AGREED, false);
    assert_eq!(verdict, Ok(()));
    assert!(spent > 1_300, "{spent}: the living should have had the rest");
}

/// An authority that forgets leases earlier than members do is found.
#[test]
fn planted_short_memory_is_found() {
    let authority = Terms { ttl: Duration::from_millis(1), ..TERMS };
    let short = Believed { authority, ..AGREED };
    let found = (0..300).any(|seed| run(seed, &skewed(seed), short, true).1.is_err());
    assert!(found, "the simulation does not go where it hurts");
}

/// Members that give up earlier by the drift once, not twice, are found: the authority's clock may
/// be as fast as theirs are slow.
#[test]
fn planted_half_margin_is_found() {
    let members = Terms { drift_ppm: TERMS.drift_ppm / 2, ..TERMS };
    let half = Believed { members, ..AGREED };
    let found = (0..300).any(|seed| run(seed, &skewed(seed), half, true).1.is_err());
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

/// Terms with which nothing would ever be spent are refused on both sides, and told apart.
#[test]
fn terms_that_nobody_can_spend_under_are_refused() {
    let nanos = Duration::from_nanos;
    let refused = [
        (Terms { lease: 0, ..TERMS }, TermsError::Lease),
        (Terms { drift_ppm: 500_000, ..TERMS }, TermsError::Drift { drift_ppm: 500_000 }),
        (Terms { drift_ppm: u32::MAX, ..TERMS }, TermsError::Drift { drift_ppm: u32::MAX }),
        (Terms { ttl: Duration::ZERO, ..TERMS }, TermsError::Ttl { ttl: Duration::ZERO }),
        (Terms { ttl: nanos(1), drift_ppm: 1, ..TERMS }, TermsError::Ttl { ttl: nanos(1) }),
    ];
    for (terms, expected) in refused {
        assert_eq!(Authority::new(quota(), terms, Timestamp::ZERO).unwrap_err(), expected);
        assert_eq!(Member::new(terms).unwrap_err(), expected);
    }
    for terms in [
        Terms { drift_ppm: 499_999, ..TERMS },
        Terms { ttl: nanos(1), drift_ppm: 0, ..TERMS },
        Terms { ttl: Duration::MAX, ..TERMS },
    ] {
        assert!(Authority::new(quota(), terms, Timestamp::ZERO).is_ok(), "{terms:?}");
        assert!(Member::new(terms).is_ok(), "{terms:?}");
    }
}
