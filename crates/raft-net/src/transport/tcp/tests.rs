//! Tests over loopback: peers that come and go, strangers that mean harm.

use std::collections::VecDeque;
use std::time::Duration;

use raft::{Body, GroupId, Incarnation, Message, Position, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::super::Envelope;
use super::*;
use crate::mailbox::Event;
use crate::{Mailbox, mailbox};

const CLUSTER: u64 = 77;

fn options() -> TcpOptions {
    TcpOptions {
        frame_bytes_max: 64 << 10,
        queue_frames: 16,
        connections_max: 4,
        patience: Duration::from_millis(300),
        silence_max: Duration::from_millis(900),
        retry_min: Duration::from_millis(5),
        retry_max: Duration::from_millis(50),
    }
}

async fn bind(id: u64, address: &str) -> (TcpTransport, Mailbox) {
    let mailbox = mailbox(1 << 20);
    let bound = TcpTransport::bind(NodeId(id), CLUSTER, address, mailbox.inbox(), options());
    (bound.await.expect("a port is free"), mailbox)
}

fn envelope(from: u64, to: u64, term: u64) -> Envelope {
    let body = Body::RequestPreVote { last: Position::default() };
    let (from, to) = (NodeId(from), NodeId(to));
    let message = Message { from, to, incarnation: Incarnation(0), term: Term(term), body };
    Envelope { group: GroupId(5), message }
}

fn terms(mailbox: &Mailbox) -> Vec<u64> {
    let mut terms = Vec::new();
    let mut events = VecDeque::new();
    let weight = mailbox.take_into(&mut events);
    for event in events {
        if let Event::Packet(_, packet) = event {
            terms.extend(packet.envelopes.iter().map(|it| it.message.term.0));
        }
    }
    mailbox.note_done(weight);
    terms
}

/// Sends messages of one term until one arrives.
async fn exchange(from: &mut TcpTransport, to: &Mailbox, term: u64) {
    for _ in 0..500 {
        from.send(NodeId(2), vec![envelope(1, 2, term)].into());
        sleep(Duration::from_millis(5)).await;
        if terms(to).contains(&term) {
            return;
        }
    }
    panic!("no message of term {term} came through: {:?}", from.peers());
}

async fn greeted(at: &TcpTransport, from: u64) -> TcpStream {
    let mut stream = TcpStream::connect(at.address()).await.expect("it listens");
    let greeting = Greeting { cluster: CLUSTER, from: NodeId(from), to: NodeId(2) };
    stream.write_all(&greeting.encode()).await.expect("it listens");
    let mut answer = [0; frame::ANSWER];
    stream.read_exact(&mut answer).await.expect("it answers");
    frame::decode_answer(&answer).expect("it is welcome");
    stream
}

/// Whether the other end closes within a moment; it may have sent something before.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(3), stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn a_connection_is_made_again_when_the_peer_comes_back() {
    let (mut one, _mailbox) = bind(1, "127.0.0.1:0").await;
    let (two, inbox) = bind(2, "127.0.0.1:0").await;
    let address = two.address().to_string();
    one.set_peer(NodeId(2), &address);
    exchange(&mut one, &inbox, 1).await;
    assert!(one.peers()[0].is_connected);
    two.close();
    drop((two, inbox));
    sleep(Duration::from_millis(50)).await;
    // Nobody is there: the queue fills, and no call waits.
    for _ in 0..1_000 {
        one.send(NodeId(2), vec![envelope(1, 2, 2)].into());
    }
    assert!(one.peers()[0].dropped > 0);
    let (two, inbox) = bind(2, &address).await;
    exchange(&mut one, &inbox, 3).await;
    assert!(!terms(&inbox).contains(&2), "what has waited is not sent late");
    one.close();
    assert_eq!(one.peers(), []);
    two.close();
}

#[tokio::test]
async fn a_quiet_connection_is_kept() {
    let (mut one, _mailbox) = bind(1, "127.0.0.1:0").await;
    let (two, inbox) = bind(2, "127.0.0.1:0").await;
    one.set_peer(NodeId(2), &two.address().to_string());
    exchange(&mut one, &inbox, 1).await;
    sleep(options().silence_max * 2).await;
    one.send(NodeId(2), vec![envelope(1, 2, 2)].into());
    let mut arrived = Vec::new();
    for _ in 0..300 {
        arrived = terms(&inbox);
        if !arrived.is_empty() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(arrived, [2], "the first message after a silence arrives");
}

#[tokio::test]
async fn who_is_not_of_the_cluster_is_told_so() {
    let (other, _mailbox) = bind(2, "127.0.0.1:0").await;
    for (cluster, id, to) in [(CLUSTER + 1, 1, 2), (CLUSTER, 1, 3), (CLUSTER, 2, 2)] {
        let greeting = Greeting { cluster, from: NodeId(id), to: NodeId(to) };
        let mut stream = TcpStream::connect(other.address()).await.expect("it listens");
        stream.write_all(&greeting.encode()).await.expect("it listens");
        let mut answer = [0; frame::ANSWER];
        stream.read_exact(&mut answer).await.expect("it answers");
        assert!(frame::decode_answer(&answer).is_err(), "{greeting:?}");
        assert!(is_closed(&mut stream).await);
    }
    let (one, _inbox) = bind(1, "127.0.0.1:0").await;
    one.set_peer(NodeId(3), &other.address().to_string());
    let mut error = None;
    for _ in 0..300 {
        error = one.peers()[0].error.clone();
        if error.is_some() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let error = error.expect("it was refused");
    assert!(error.contains("another server"), "{error}");
}

#[tokio::test]
async fn hostile_bytes_close_the_connection_and_nothing_else() {
    let (mut one, _mailbox) = bind(1, "127.0.0.1:0").await;
    let (two, inbox) = bind(2, "127.0.0.1:0").await;
    one.set_peer(NodeId(2), &two.address().to_string());
    exchange(&mut one, &inbox, 1).await;
    let (whole, _) = frame::encode(&vec![envelope(9, 2, 66)].into(), 1 << 16);
    let (forged, _) = frame::encode(&vec![envelope(8, 2, 66)].into(), 1 << 16);
    let mut flipped = whole[0].to_vec();
    *flipped.last_mut().expect("it has bytes") ^= 1;
    let huge = [&u32::MAX.to_le_bytes()[..], &[7; 100]].concat();
    let noise: Vec<u8> = (0..5_000u32).map(|at| (at * at % 251).to_le_bytes()[0]).collect();
    for bytes in [&flipped[..], &forged[0], &huge, &noise] {
        let mut stream = greeted(&two, 9).await;
        stream.write_all(bytes).await.ok();
        assert!(is_closed(&mut stream).await);
    }
    for bytes in [&b"GET / HTTP/1.1\r\nHost: strata\r\nAccept: */*\r\n\r\n"[..], &noise] {
        let mut stream = TcpStream::connect(two.address()).await.expect("it listens");
        stream.write_all(bytes).await.ok();
        assert!(is_closed(&mut stream).await);
    }
    assert!(!terms(&inbox).contains(&66), "none of it was believed");
    exchange(&mut one, &inbox, 2).await;
}

#[tokio::test]
async fn who_is_slow_or_silent_or_many_takes_no_place_for_long() {
    let (mut one, _mailbox) = bind(1, "127.0.0.1:0").await;
    let (two, inbox) = bind(2, "127.0.0.1:0").await;
    // One that never greets, one that announces a frame and does not send it, and many more.
    let mut silent = TcpStream::connect(two.address()).await.expect("it listens");
    let mut slow = greeted(&two, 9).await;
    let head = [&60_000u32.to_le_bytes()[..], &[0; 4], b"a little"].concat();
    slow.write_all(&head).await.expect("it listens");
    let mut many = Vec::new();
    for _ in 0..20 {
        many.push(TcpStream::connect(two.address()).await.expect("it listens"));
    }
    assert!(is_closed(&mut silent).await && is_closed(&mut slow).await);
    one.set_peer(NodeId(2), &two.address().to_string());
    exchange(&mut one, &inbox, 1).await;
    for stream in &mut many {
        assert!(is_closed(stream).await);
    }
}

#[tokio::test]
async fn what_the_node_does_not_take_in_is_dropped() {
    let (mut one, _mailbox) = bind(1, "127.0.0.1:0").await;
    let (two, inbox) = bind(2, "127.0.0.1:0").await;
    one.set_peer(NodeId(2), &two.address().to_string());
    exchange(&mut one, &inbox, 1).await;
    // Nobody takes anything out of the mailbox, which weighs a megabyte at most.
    for _ in 0..200 {
        let batch: Vec<_> = (0..100).map(|_| envelope(1, 2, 2)).collect();
        one.send(NodeId(2), batch.into());
        sleep(Duration::from_millis(1)).await;
    }
    let taken = terms(&inbox).len();
    assert!(taken > 1_000 && taken <= 8_300, "{taken} messages were taken in");
    exchange(&mut one, &inbox, 3).await;
}
