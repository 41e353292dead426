//! What judges each stage.
//!
//! `cargo study check` runs the module of a stage, and then the same module once more under
//! shuttle, which switches threads at every access to an atomic, a lock or a word of the arena. In
//! a plain build the suite takes each heap as an allocator of real memory, and notes every block in
//! a map of what is in use before it writes there: overlap, alignment, contents, zeros, and memory
//! that is never used again.

#[cfg(not(shuttle))]
use harness::suite_properties;

mod kit;
mod schedules;
mod stage_1;
#[cfg(not(shuttle))]
mod stage_2;
mod stage_3;
mod stage_4;
mod stage_5;
mod stage_6;
#[cfg(not(shuttle))]
mod stage_7;

/// What you call yours: everything, before it is measured.
mod yours {
    use exercise_allocator::exercise::Yours;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_allocator::judged;

        harness::allocator_suite!(all, judged::Yours);
    }

    #[test]
    fn blocks_of_two_threads_are_apart() {
        super::schedules::blocks_of_two_threads_are_apart::<Yours>(
            "yours::blocks_of_two_threads_are_apart",
        );
    }

    #[test]
    fn what_others_free_is_used_again() {
        super::schedules::what_others_free_is_used_again::<Yours>(
            "yours::what_others_free_is_used_again",
        );
    }
}
