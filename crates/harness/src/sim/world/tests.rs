use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use env::clock::{Clock, Timestamp};
use env::fs::{Fs, FsError, FsExt, OpenMode};

use super::{Actor, Context, Host, World};
use crate::sim::{Command, Fault, NodeId, Script};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

/// Remembers what it heard and does what it is told.
struct Parrot {
    host: Host,
    heard: Vec<(u64, String)>,
}

/// What a message makes the receiver do.
#[derive(Clone, Debug)]
enum Order {
    Note(&'static str),
    Sleep(Duration),
    /// Write, which may be the end, and then send.
    WriteThenSend(NodeId),
}

impl Parrot {
    fn new(host: Host) -> Self {
        Self { host, heard: Vec::new() }
    }

    fn hear(&mut self, what: impl Into<String>) {
        self.heard.push((self.host.clock.true_now().as_nanos() / 1_000_000, what.into()));
    }
}

impl Actor for Parrot {
    type Message = Order;

    fn on_start(&mut self, _context: &mut Context<'_, Order>) {
        let incarnation = self.host.incarnation;
        self.hear(format!("start {incarnation}"));
    }

    fn on_message(&mut self, _from: NodeId, order: Order, context: &mut Context<'_, Order>) {
        match order {
            Order::Note(what) => self.hear(what),
            Order::Sleep(duration) => {
                self.hear("sleep");
                self.host.clock.sleep(duration);
                context.send(context.id(), Order::Note("awake"));
            }
            Order::WriteThenSend(to) => {
                context.send(to, Order::Note("before"));
                let _may_die = self.host.fs.write_atomic(Path::new("f"), b"x");
                context.send(to, Order::Note("after"));
            }
        }
    }

    fn on_timer(&mut self, token: u64, _context: &mut Context<'_, Order>) {
        self.hear(format!("timer {token}"));
    }
}

fn world(script: &str) -> World<Parrot> {
    let mut world = World::new(7, 3, |host| Ok::<_, Infallible>(Parrot::new(host)));
    world.play(&script.parse().expect("the script is one"));
    world
}

fn heard(world: &World<Parrot>, id: NodeId) -> Vec<&str> {
    let heard = &world.actor(id).expect("the node is up").heard;
    heard.iter().map(|(_, what)| what.as_str()).collect()
}

fn send(world: &mut World<Parrot>, from: NodeId, to: NodeId, order: Order) {
    world.call(from, |_, context| context.send(to, order)).expect("the node is up");
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn messages_take_virtual_time_and_arrive_in_order() {
    let mut world = world("");
    for what in ["a", "b", "c"] {
        send(&mut world, ONE, TWO, Order::Note(what));
    }
    assert_eq!(heard(&world, TWO), ["start 0"]);
    world.run_for(millis(2));
    assert_eq!(heard(&world, TWO), ["start 0", "a", "b", "c"]);
    assert_eq!(world.now(), Timestamp::ZERO + millis(2));
}

#[test]
fn sleeping_node_holds_up_itself_and_nobody_else() {
    let mut world = world("");
    send(&mut world, ONE, TWO, Order::Sleep(millis(20)));
    send(&mut world, ONE, TWO, Order::Note("late"));
    send(&mut world, ONE, NodeId(3), Order::Note("in time"));
    world.run_for(millis(10));
    assert_eq!(heard(&world, TWO), ["start 0", "sleep"]);
    assert_eq!(heard(&world, NodeId(3)), ["start 0", "in time"]);
    world.run_for(millis(20));
    let heard = heard(&world, TWO);
    assert!(heard.contains(&"late") && heard.contains(&"awake"), "{heard:?}");
    assert!(world.actor(TWO).unwrap().heard.iter().all(|&(at, _)| at == 0 || at == 20 || at == 21));
}

#[test]
fn paused_node_hears_all_when_it_goes_on() {
    let mut world = world("pause 2\nat 50ms resume 2");
    world.run_for(millis(1));
    send(&mut world, ONE, TWO, Order::Note("waits"));
    assert!(world.call(TWO, |_, _| ()).is_none());
    world.run_for(millis(40));
    assert_eq!(heard(&world, TWO), ["start 0"]);
    world.run_for(millis(20));
    assert_eq!(world.actor(TWO).unwrap().heard[1], (50, "waits".to_owned()));
    assert_eq!(world.trace().coverage().count(Fault::Pause), 1);
}

#[test]
fn timers_are_replaced_cancelled_and_fire_once() {
    let mut world = world("");
    world.call(ONE, |_, context| {
        context.set_timer(1, millis(5));
        context.set_timer(1, millis(10));
        context.set_timer(2, millis(6));
        context.set_timer(3, millis(7));
        context.cancel_timer(2);
    });
    world.run_for(millis(100));
    let heard = &world.actor(ONE).unwrap().heard;
    assert_eq!(heard[1..], [(7, "timer 3".to_owned()), (10, "timer 1".to_owned())]);
}

#[test]
fn timers_go_by_the_clock_of_their_node() {
    let mut world = world("clock 1 rate 2\nclock 2 jump 1s");
    world.run_for(Duration::ZERO);
    for id in [ONE, TWO] {
        world.call(id, |_, context| context.set_timer(9, millis(10)));
    }
    world.run_for(millis(20));
    assert_eq!(world.actor(ONE).unwrap().heard[1].0, 5, "a clock of double speed");
    assert_eq!(world.actor(TWO).unwrap().heard[1].0, 10, "a jump moves no timer");
    assert_eq!(world.clock(TWO).now(), Timestamp::ZERO + millis(1_020));
}

#[test]
fn crashed_node_forgets_and_starts_again_from_its_disk() {
    let mut world = world("at 10ms crash 2\nat 20ms restart 2\nat 21ms restart 2");
    world.call(TWO, |parrot, context| {
        parrot.host.fs.write_atomic(Path::new("f"), b"durable").unwrap();
        context.set_timer(1, millis(15));
    });
    world.run_for(millis(11));
    assert!(world.actor(TWO).is_none());
    send(&mut world, ONE, TWO, Order::Note("lost"));
    world.run_for(millis(20));
    assert_eq!(heard(&world, TWO), ["start 1"], "no timer, no message, one restart");
    assert_eq!(world.actor(TWO).unwrap().host.fs.read(Path::new("f")).unwrap(), b"durable");
    assert_eq!(world.actors().count(), 3);
}

#[test]
fn what_is_sent_after_the_power_failed_is_not_sent() {
    let mut world = world("crash 2 after 1 ios");
    world.run_for(Duration::ZERO);
    send(&mut world, ONE, TWO, Order::WriteThenSend(ONE));
    world.run_for(millis(10));
    assert!(world.actor(TWO).is_none());
    assert_eq!(heard(&world, ONE), ["start 0", "before"]);
    assert_eq!(world.trace().coverage().count(Fault::CrashAtIo), 1);
}

#[test]
fn node_that_cannot_start_stays_down_until_it_can() {
    let factory = |host: Host| -> Result<Parrot, FsError> {
        let file = host.fs.open(Path::new("f"), OpenMode::OPEN_OR_CREATE)?;
        file.write_all_at(b"x", 0)?;
        Ok(Parrot::new(host))
    };
    let mut world = World::new(1, 2, factory);
    let script = "kill 1\ndisk 1 write-error once\nat 1ms restart 1\nat 2ms restart 1";
    world.play(&script.parse().unwrap());
    world.run_for(Duration::from_micros(1_500));
    assert!(world.actor(ONE).is_none());
    let error = world.start_error(ONE).expect("it failed");
    assert!(error.starts_with("cannot write f: the device failed"), "{error}");
    world.run_for(millis(1));
    assert!(world.actor(ONE).is_some() && world.start_error(ONE).is_none());
}

/// Which of three nodes reach which, as "12 13 21 23 31 32".
fn reached(script: &str) -> String {
    let mut world = world(script);
    world.run_for(millis(5));
    let ids = [ONE, TWO, NodeId(3)];
    let pairs = ids.iter().flat_map(|&from| ids.map(|to| (from, to)));
    let mut reached = Vec::new();
    for (from, to) in pairs.filter(|(from, to)| from != to) {
        let before = heard(&world, to).len();
        send(&mut world, from, to, Order::Note("x"));
        world.run_for(millis(5));
        if heard(&world, to).len() > before {
            reached.push(format!("{from}{to}"));
        }
    }
    reached.join(" ")
}

#[test]
fn partitions_cut_what_they_say() {
    assert_eq!(reached(""), "12 13 21 23 31 32");
    assert_eq!(reached("partition 1 | 2 3"), "23 32");
    assert_eq!(reached("partition 1"), "", "nodes of no group are alone");
    assert_eq!(reached("partition 1 -> 2 3"), "21 23 31 32");
    assert_eq!(reached("bridge 1 | 2 | 3"), "12 21 23 32");
    assert_eq!(reached("ring"), "12 13 21 23 31 32", "three nodes are all neighbours");
    assert_eq!(reached("partition 1 | 2 3\nat 1ms heal"), "12 13 21 23 31 32");
    assert_eq!(reached("link 1 -> * drop 100%"), "21 23 31 32");
    assert_eq!(reached("link 1 -> * drop 100%\nat 1ms recover"), "12 13 21 23 31 32");
}

#[test]
#[should_panic(expected = "`crash 4` names a node that is not among the 3")]
fn script_of_another_world_is_refused() {
    world("crash 4");
}

#[test]
fn same_seed_gives_the_same_text_and_another_seed_another() {
    let run = |seed| {
        let mut world = World::traced(seed, 3, |host| Ok::<_, Infallible>(Parrot::new(host)));
        let script: Script = "link * -> * drop 30%\nlink * -> * duplicate 30%".parse().unwrap();
        world.play(&script);
        for _ in 0..20 {
            world.call(ONE, |_, context| context.send(TWO, Order::Note("x")));
            world.run_for(millis(1));
        }
        (world.trace().text(), world.trace().hash())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn fault_can_be_injected_at_any_moment() {
    let mut world = world("");
    world.inject(&Command::Crash(TWO));
    assert!(world.actor(TWO).is_none());
    world.inject(&Command::Recover);
    assert!(world.actor(TWO).is_some());
    while world.step() {}
}
