//! What judges each stage.
//!
//! `cargo study check` runs the module of a stage: messages one by one, and clusters in a simulated
//! world, in which time, network and crashes follow from a seed. There are no threads, so that the
//! explorer of schedules has nothing to do.

#![cfg(not(shuttle))]

mod cluster;
mod kit;
mod stage_1;
mod stage_2;
mod stage_3;
mod stage_4;
mod stage_5;
mod stage_6;
mod stage_7;
mod stage_8;

/// What you call yours: everything.
mod yours {
    use exercise_raft::Judged;

    harness::consensus_suite!(suite, Judged);

    #[test]
    fn survives_the_world() {
        crate::stage_8::all_at_once("yours::survives_the_world", 20);
    }
}
