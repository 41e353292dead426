//! What judges each stage.
//!
//! `cargo study check` runs the module of a stage, and then the same module once more under
//! shuttle, which switches threads at every access to an atomic or a lock. Files are those of a
//! simulated disk, which loses and tears whatever it may, but for the suite that judges every store
//! of this repository: that one runs on the disk of this machine.

#[cfg(not(shuttle))]
use harness::suite_properties;

mod kit;
#[cfg(not(shuttle))]
mod stage_1;
mod stage_2;
#[cfg(not(shuttle))]
mod stage_3;
#[cfg(not(shuttle))]
mod stage_4;
#[cfg(not(shuttle))]
mod stage_5;
#[cfg(not(shuttle))]
mod stage_6;
mod stage_7;
mod stage_8;

/// What you call yours: everything, before it is measured.
#[cfg(not(shuttle))]
mod yours {
    use exercise_lsm::Judged;

    harness::ordered_store_suite!(suite, Judged);

    #[test]
    fn a_power_cut_takes_nothing_that_was_acknowledged() {
        crate::stage_7::survives_power_cuts(2, 60);
    }
}

/// The same under the explorer.
#[cfg(shuttle)]
mod yours {
    #[test]
    fn a_write_is_found_while_memtables_are_switched() {
        crate::stage_7::writes_are_found_while_memtables_are_switched(
            "yours::a_write_is_found_while_memtables_are_switched",
        );
    }
}
