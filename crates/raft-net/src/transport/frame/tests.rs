//! Tests of frames: what is written is read, and nothing else is.

use proptest::prelude::*;
use raft::{Body, Incarnation, Message, Position, Term};

use super::*;
use crate::pulse::Echo;

const ENDS: (NodeId, NodeId) = (NodeId(1), NodeId(2));

fn envelope(group: u64) -> Envelope {
    let body = Body::RequestPreVote { last: Position::default() };
    let (from, to) = ENDS;
    let message = Message { from, to, incarnation: Incarnation(7), term: Term(group), body };
    Envelope { group: GroupId(group), message }
}

fn read(frame: &Bytes, max: usize) -> Result<Packet, FrameError> {
    let head = *frame.first_chunk().expect("a frame has a head");
    decode(decode_head(head, max)?, frame.slice(HEAD..), ENDS)
}

#[test]
fn messages_come_through_in_frames_of_limited_length() {
    let batch: Vec<_> = (0..100).map(envelope).collect();
    let (frames, dropped) = encode(&batch.clone().into(), 200);
    assert_eq!(dropped, 0);
    assert!(frames.len() > 5 && frames.iter().all(|frame| frame.len() <= 200));
    let whole = |frame: &Bytes| read(frame, 200).expect("it is whole").envelopes;
    assert_eq!(frames.iter().flat_map(whole).collect::<Vec<_>>(), batch);
    assert_eq!(encode(&batch.into(), 20), (Vec::new(), 100), "none fits");
    assert_eq!(read(&empty(), 200), Ok(Packet::default()));
    let echo = Echo { boot: 1, tick: 2, version: 3, refused: vec![GroupId(4)] };
    let pulse = Some(Pulse { boot: 5, word: None, echo: Some(echo) });
    let packet = Packet { pulse, envelopes: vec![envelope(6)] };
    let (frames, _) = encode(&packet, 1 << 10);
    assert_eq!(read(&frames[0], 1 << 10), Ok(packet));
}

#[test]
fn every_flipped_bit_of_a_frame_is_seen() {
    let (frames, _) = encode(&vec![envelope(1), envelope(2)].into(), 1 << 20);
    for bit in 0..frames[0].len() * 8 {
        let mut bytes = frames[0].to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&bytes.into(), 1 << 20).is_err(), "bit {bit}");
    }
}

proptest! {
    /// Under a right checksum: what a stranger can send who knows the format.
    #[test]
    fn any_payload_is_messages_or_an_error(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        let frame = finish([&[0; HEAD][..], &payload].concat());
        if let Ok(packet) = read(&frame, 1 << 20) {
            let (frames, _) = encode(&packet, 1 << 20);
            let again = frames.iter().map(|frame| read(frame, 1 << 20)).next();
            prop_assert_eq!(again.unwrap_or_else(|| Ok(Packet::default())), Ok(packet));
        }
    }

    #[test]
    fn any_bytes_are_no_greeting(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(Greeting::decode(&bytes).is_err());
    }
}

#[test]
fn every_flipped_bit_of_a_greeting_is_seen() {
    let greeting = Greeting { cluster: 9, from: NodeId(1), to: NodeId(2) };
    assert_eq!(Greeting::decode(&greeting.encode()), Ok(greeting));
    for bit in 0..GREETING * 8 {
        let mut bytes = greeting.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Greeting::decode(&bytes).is_err(), "bit {bit}");
    }
    assert_eq!(Greeting::decode(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(FrameError::Stranger));
    for error in [FrameError::Version { version: VERSION }, FrameError::Cluster, FrameError::Name] {
        assert_eq!(decode_answer(&encode_answer(Err(error))), Err(error));
    }
    assert_eq!(decode_answer(&encode_answer(Ok(()))), Ok(()));
}

#[test]
fn frames_that_lie_are_refused() {
    let long = [&u32::MAX.to_le_bytes()[..], &[0; 4]].concat();
    let head = *long.first_chunk().expect("eight bytes");
    assert!(matches!(decode_head(head, 1 << 20), Err(FrameError::TooLong { .. })));
    let (frames, _) = encode(&vec![envelope(1)].into(), 1 << 20);
    let head = decode_head(*frames[0].first_chunk().expect("a head"), 1 << 20).expect("short");
    let payload = frames[0].slice(HEAD..);
    assert_eq!(decode(head, payload, (NodeId(3), NodeId(2))), Err(FrameError::Forged));
    // A length that reaches beyond the frame, under a right checksum.
    let mut lying = vec![0; HEAD];
    lying.push(MESSAGE);
    lying.extend_from_slice(&1u64.to_le_bytes());
    lying.extend_from_slice(&u32::MAX.to_le_bytes());
    lying.extend_from_slice(b"short");
    let refused = FrameError::Message(DecodeError::Short);
    assert_eq!(read(&finish(lying), 1 << 20), Err(refused));
}
