use proptest::prelude::*;

use super::*;

fn position() -> impl Strategy<Value = Position> {
    (0..NUMBER_MAX, 0..NUMBER_MAX)
        .prop_map(|(index, term)| Position { index: Index(index / 2), term: Term(term) })
}

fn configuration() -> impl Strategy<Value = Configuration> {
    (1_u64..6, 0_u64..4, any::<bool>()).prop_map(|(voters, learners, auto_leave)| {
        let mut it = Configuration::founding((1..=voters).map(NodeId));
        it.learners = (voters + 1..=voters + learners).map(NodeId).collect();
        it.members.extend(it.learners.iter().map(|id| (*id, Incarnation(u64::MAX))));
        Configuration { auto_leave, ..it }
    })
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Noop),
        Just(Payload::Withheld),
        prop::collection::vec(any::<u8>(), 0..200)
            .prop_map(|bytes| Payload::Command(Bytes::from(bytes))),
        configuration().prop_map(|it| Payload::Configuration(Box::new(it))),
    ]
}

fn appended() -> impl Strategy<Value = Body> {
    let entries = prop::collection::vec((0..NUMBER_MAX, payload()), 0..5);
    (position(), entries, 0..NUMBER_MAX, 0..NUMBER_MAX).prop_map(
        |(prev, entries, commit, round)| {
            let numbered = entries.into_iter().zip(prev.index.0 + 1..);
            let entry =
                |((term, payload), index)| Entry { index: Index(index), term: Term(term), payload };
            let entries = numbered.map(entry).collect();
            Body::AppendEntries { prev, entries, commit: Index(commit), round, session: round / 3 }
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    let outcome = prop_oneof![
        (0..NUMBER_MAX).prop_map(|it| AppendOutcome::Accepted { matched: Index(it) }),
        (0..NUMBER_MAX, position())
            .prop_map(|(prev, hint)| AppendOutcome::Rejected { prev: Index(prev), hint }),
    ];
    let id = (any::<u64>(), any::<u64>()).prop_map(|(boot, sequence)| ReadId { boot, sequence });
    let data = prop::collection::vec(any::<u8>(), 0..100).prop_map(Bytes::from);
    let meta = (position(), configuration(), 0..NUMBER_MAX)
        .prop_map(|(last, configuration, len)| SnapshotMeta { last, configuration, len });
    prop_oneof![
        position().prop_map(|last| Body::RequestPreVote { last }),
        (position(), any::<bool>())
            .prop_map(|(last, transfer)| Body::RequestVote { last, transfer }),
        (any::<bool>(), any::<bool>())
            .prop_map(|(pre, granted)| Body::VoteResponse { pre, granted }),
        appended(),
        (0..NUMBER_MAX, outcome).prop_map(|(round, outcome)| Body::AppendResponse {
            round,
            session: 7,
            outcome
        }),
        (meta, 0..NUMBER_MAX, data).prop_map(|(meta, offset, data)| {
            Body::InstallSnapshot { meta: Box::new(meta), offset, data, round: 1, session: 2 }
        }),
        (0..NUMBER_MAX, 0..NUMBER_MAX).prop_map(|(last, offset)| {
            Body::SnapshotResponse { round: 3, session: 4, last: Index(last), offset }
        }),
        Just(Body::TimeoutNow),
        (id.clone(), any::<bool>()).prop_map(|(id, is_lease)| {
            let mode = if is_lease { ReadMode::Lease } else { ReadMode::Quorum };
            Body::ReadIndex { id, mode }
        }),
        (id, 0..NUMBER_MAX)
            .prop_map(|(id, index)| Body::ReadIndexResponse { id, index: Index(index) }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (any::<u64>(), any::<u64>(), 0..NUMBER_MAX, body()).prop_map(|(from, to, term, body)| Message {
        from: NodeId(from),
        to: NodeId(to),
        incarnation: Incarnation(from ^ to),
        term: Term(term),
        body,
    })
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in message()) {
        prop_assert_eq!(decode(encoded(&message).into()), Ok(message));
    }

    /// Each beginning is too short, and nothing may stand behind a message.
    #[test]
    fn parts_are_refused(message in message(), more in any::<u8>()) {
        let mut bytes = encoded(&message);
        for len in 0..bytes.len() {
            prop_assert!(decode(Bytes::copy_from_slice(&bytes[..len])).is_err());
        }
        bytes.push(more);
        prop_assert_eq!(decode(bytes.into()), Err(DecodeError::Long { rest: 1 }));
    }

    /// Any bytes are read or refused; what is read is written as something that reads the same.
    #[test]
    fn noise_does_no_harm(
        message in message(),
        flips in prop::collection::vec(any::<(u16, u8)>(), 1..6),
    ) {
        let mut bytes = encoded(&message);
        let len = bytes.len();
        for (at, byte) in flips {
            bytes[usize::from(at) % len] ^= byte;
        }
        if let Ok(read) = decode(bytes.into()) {
            prop_assert_eq!(decode(encoded(&read).into()), Ok(read));
        }
    }
}

/// A message of few bytes that speaks of many entries gets no memory for them.
#[test]
fn lengths_are_believed_only_as_far_as_there_are_bytes() {
    let mut bytes = vec![4];
    put_numbers(&mut bytes, [1, 2, 0, 1, 0, 0, 0, 1, 1]);
    put_number(&mut bytes, 1 << 40);
    assert_eq!(decode(bytes.into()), Err(DecodeError::Short));
}

/// Sums of what is read must not overflow.
#[test]
fn huge_numbers_are_refused() {
    let mut bytes = vec![1];
    put_numbers(&mut bytes, [1, 2, 0, NUMBER_MAX, 0, 0]);
    assert_eq!(decode(bytes.into()), Err(DecodeError::Number));
    let mut bytes = vec![1];
    bytes.extend([0xFF; 11]);
    assert_eq!(decode(bytes.into()), Err(DecodeError::Number));
}

#[test]
fn unsound_configurations_are_refused() {
    let mut it = Configuration::founding([1, 2, 3].map(NodeId));
    it.voters.reverse();
    let mut bytes = Vec::new();
    put_configuration(&mut bytes, &it);
    let read = Decoder(bytes.into()).configuration();
    assert_eq!(read, Err(DecodeError::Configuration));
}
