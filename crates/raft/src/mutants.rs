//! Bugs that others have had, planted here one line each, so that the tests can show that they
//! would find them.
//!
//! A line of the protocol asks [`on`] whether it is to be wrong. Outside tests the answer is a
//! constant and the compiler removes the question. `docs/raft/mutants.md` has the list with the
//! threads that each bug comes from, and what finds it.
//!
//! # What this module does not do
//!
//! It runs nothing: `tests/mutants.rs` does.

#[cfg(test)]
use std::cell::Cell;

macro_rules! bugs {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Bug {
            $($(#[$doc])+ $name,)+
        }

        impl Bug {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

bugs! {
    /// 1. A configuration is proposed before an entry of the leader's own term is committed.
    ChangeBeforeOwnCommit,
    /// 2. An entry of an earlier term is committed by counting its copies.
    CommitsPriorTermByCounting,
    /// 3. A server that does not know that it votes refuses to vote.
    UnawareVoterRefuses,
    /// 4. A configuration has its effect only once it is applied.
    ConfigurationAtApply,
    /// 6. Only the leader that entered a joint configuration leaves it.
    AutoLeaveIsForgotten,
    /// 7. A joint configuration is left before it is committed.
    LeavesJointTooEarly,
    /// 8. A configuration stays though its entry was truncated.
    ConfigurationSurvivesTruncation,
    /// 9. A configuration stays though a snapshot replaced its entry.
    ConfigurationSurvivesSnapshot,
    /// 10. The numbers of a majority are not sorted.
    QuorumNotSorted,
    /// 11. A pre-vote of an old term gets no answer.
    SilentToOldPreVote,
    /// 12. A leader without a majority goes on.
    NeverStepsDown,
    /// 13. A transfer that does not succeed never ends.
    TransferNeverEnds,
    /// 14. A lease survives the transfer of leadership.
    LeaseSurvivesTransfer,
    /// 15. A leader serves reads before it knows what is committed.
    ReadBeforeOwnCommit,
    /// 16. A read is confirmed by an answer to an older question.
    ReadUsesOldRound,
    /// 17. A vote is sent before it is durable.
    VoteBeforeDurable,
    /// 18. A leader that hears of a later term takes it over, and leads on for a while.
    TermMovesUnderLeader,
    /// 19. A finished write counts though a later one replaces what it wrote.
    StaleWriteCounts,
    /// 20. The leader counts its own copy before it is durable.
    LeaderCountsUnwritten,
    /// 22. An entry is acknowledged before it is durable.
    AckBeforeDurable,
    /// 23. A follower that needs what is compacted is not sent a snapshot.
    NeverSendsSnapshot,
    /// 24. A follower commits beyond what is known to match.
    CommitsBeyondMatch,
    /// 25. Entries behind those of an old message are deleted though they match.
    DeletesMatchingEntries,
    /// 26. Entries that do not begin behind `prev` are taken.
    TakesEntriesWithGap,
    /// 27. The bytes of committed entries go on counting as uncommitted.
    UncommittedBytesLeak,
    /// 28. The longer log wins an election, whatever its last term.
    LongerLogWins,
    /// 28. One less than a majority suffices.
    QuorumOneShort,
    /// A leader goes on though its disk makes nothing durable.
    StalledDiskLeads,
    /// A reply to an earlier life of a member counts.
    OldSessionCounts,
    /// A server with another disk counts as the member that it was.
    WipedMemberCounts,
    /// A server that an uncommitted configuration leaves out does not campaign.
    LeftOutTooEarly,
    /// A witness campaigns.
    WitnessCampaigns,
    /// A witness is sent entries that are not durable on the leader's disk.
    WitnessIsAhead,
    /// A server that is no witness takes entries without their commands.
    TakesWithheld,
}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether this bug is planted.
#[cfg(test)]
pub(crate) fn on(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this bug is planted: never.
#[cfg(not(test))]
pub(crate) const fn on(_: Bug) -> bool {
    false
}

/// Runs `body` with a bug.
#[cfg(test)]
pub(crate) fn with<T>(bug: Bug, body: impl FnOnce() -> T) -> T {
    /// Takes the bug back, also when `body` panics.
    struct Planted;
    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
    PLANTED.set(Some(bug));
    let _planted = Planted;
    body()
}
