//! A world that one seed determines: time, disks, a network, and all that goes wrong with them.
//!
//! ```text
//!    Script  "at 120ms partition 1 | 2 3"        Swarm  draws one from a seed
//!      |                                           |
//!      v                                           v
//!    World ------------------------------------------------------------------+
//!    |  EventQueue   virtual time, ties by the seed                          |
//!    |     |                                                                 |
//!    |     v            node 1               node 2               node 3     |
//!    |  messages,     +---------+          +---------+          +---------+  |
//!    |  timers,       |  Actor  |<-------->|  Actor  |<-------->|  Actor  |  |
//!    |  faults        +---------+  network +---------+          +---------+  |
//!    |                | SimFs   |  drop,   | SimFs   |          | SimFs   |  |
//!    |                | clock   |  delay,  | clock   |          | clock   |  |
//!    |                | random  |  cut ... | random  |          | random  |  |
//!    |                +----+----+          +---------+          +---------+  |
//!    |                  SimDisk  synced | not synced: a gamble at a crash    |
//!    +------------------+----------------------------------------------------+
//!                       v
//!    Trace   every event as a line, a hash of all lines, a count for each kind of fault
//! ```
//!
//! The world is a discrete-event simulation on one thread. Nothing in it reads a clock, a file or
//! an entropy source of the machine, no order depends on an address or a hash seed; so a run is a
//! function of its seed and its script, byte for byte, and a failure replays. An engine comes into
//! it unchanged, since it takes its surroundings from `env`; a protocol comes in as an [`Actor`],
//! which is told what happens and says what it wants done.
//!
//! # Two ways to use it
//!
//! * **One engine on one disk**: a [`SimDisk`], mounted as an `Arc<dyn Fs>`, with a crash at every
//!   I/O ([`crash_at_every_io`]) or with faults by [`SimDisk::inject`]. The test holds the disk,
//!   looks at what a power cut left, and knows what was acknowledged.
//! * **Many nodes**: a [`World`] of actors under a [`Script`]. The test calls into nodes, steps
//!   from event to event, checks its invariants in between, and asks for progress after `recover`.
//!
//! [`hunt`] and [`survive`] run either under the scripts that a [`Swarm`] draws, seed after seed,
//! and make the script of a failure as short as it can be.
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//! use harness::sim::{Actor, Context, Host, NodeId, World};
//!
//! type Text = &'static str;
//!
//! /// Asks node 1 until it answers.
//! struct Ping { answered: bool }
//!
//! impl Actor for Ping {
//!     type Message = Text;
//!
//!     fn on_start(&mut self, context: &mut Context<'_, Text>) {
//!         if context.id() != NodeId(1) {
//!             context.set_timer(0, Duration::from_millis(5));
//!         }
//!     }
//!
//!     fn on_message(&mut self, from: NodeId, text: Text, context: &mut Context<'_, Text>) {
//!         match text {
//!             "ping" => context.send(from, "pong"),
//!             _ => self.answered = true,
//!         }
//!     }
//!
//!     fn on_timer(&mut self, token: u64, context: &mut Context<'_, Text>) {
//!         if !self.answered {
//!             context.send(NodeId(1), "ping");
//!             context.set_timer(token, Duration::from_millis(5));
//!         }
//!     }
//! }
//!
//! let mut world = World::new(7, 2, |_: Host| Ok::<_, Infallible>(Ping { answered: false }));
//! world.play(&"link * -> * drop 50%".parse()?);
//! world.run_for(Duration::from_secs(1));
//! assert!(world.actor(NodeId(2)).is_some_and(|ping| ping.answered));
//! # Ok::<(), harness::sim::ScriptError>(())
//! ```
//!
//! # Is it any good?
//!
//! `sim/tests` holds two small systems, a counter with a log and a replicated register, that
//! survive thousands of seeds, and eighteen ways to get them wrong, each of which must be found
//! within a stated number of seeds. The disk is compared with the machine's, call by call. And each
//! kind of [`Fault`] must be seen to happen.
//!
//! # Modules, bottom up
//!
//! | module     | holds                                                                    |
//! |------------|--------------------------------------------------------------------------|
//! | `coverage` | the kinds of faults, and how often each took effect                      |
//! | `trace`    | lines, hash, counts                                                      |
//! | `time`     | true time, and a clock for each node                                     |
//! | `queue`    | events in order                                                          |
//! | `disk`     | the disk                                                                 |
//! | `network`  | the links                                                                |
//! | `script`   | the language of faults, its parser, random scripts, the hunt             |
//! | `world`    | actors, and the loop that drives them                                    |
//!
//! # What this module does not do
//!
//! It explores no interleavings of threads: that is [`check::schedule`](crate::check::schedule).
//! Code that starts threads, or iterates over a map with a random hasher, is not reproducible here.
//! It does not search: it draws at random, and coverage is what tells whether that suffices.

mod coverage;
mod disk;
mod network;
mod queue;
mod script;
mod time;
mod trace;
mod world;

pub use coverage::{Coverage, Fault};
pub use disk::{DiskFault, Dose, SimDisk, SimFs, crash_at_every_io};
pub use network::{LinkFault, NodeId};
pub use queue::{EventId, EventQueue};
pub use script::{
    Command, Family, Finding, Line, Nodes, Script, ScriptError, Swarm, hunt, shrink, survive,
};
pub use time::{SimClock, TRUE_RATE};
pub use trace::Trace;
pub use world::{Actor, Context, Host, World};

#[cfg(test)]
mod tests;
