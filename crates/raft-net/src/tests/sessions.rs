//! Exactly once, whatever is tried again, wherever.

use bytes::Bytes;

use super::cluster::{Cluster, GROUP};
use super::within;
use crate::Error;
use crate::session::{Command, SESSIONS_MAX, Sessions, Verdict};
use raft::Index;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_sent_twice_is_applied_once() {
    let mut cluster = Cluster::new(3, 3).await;
    let leader = cluster.leader().await;
    let session = cluster.node(leader).open_session(GROUP).await.expect("it leads");
    let put = async |cluster: &Cluster, sequence: u64, what: &'static str| {
        let leader = cluster.node(cluster.leader().await);
        leader.propose_in(GROUP, session, sequence, Bytes::from(what)).await
    };
    assert_eq!(put(&cluster, 1, "a").await.expect("fresh"), "1");
    assert_eq!(put(&cluster, 1, "a").await.expect("known"), "1");
    assert_eq!(put(&cluster, 2, "b").await.expect("fresh"), "2");
    let late = Err(Error::OutOfOrder { session, sequence: 1, last: 2 });
    assert_eq!(put(&cluster, 1, "a").await, late);
    // Another leader knows it too, and so does who got the table by a snapshot.
    for _ in 0..3 {
        let leader = cluster.leader().await;
        cluster.node(leader).snapshot(GROUP).await.expect("it is made");
        cluster.crash(leader).await;
        assert_eq!(put(&cluster, 2, "b").await.expect("known"), "2");
        cluster.start(leader).await;
        within("it has it all again", async || (cluster.read(leader).await == "a,b").then_some(()))
            .await;
    }
    let none = cluster.node(cluster.leader().await);
    let refused = none.propose_in(GROUP, 77_777, 1, "c".into()).await;
    assert_eq!(refused, Err(Error::NoSession { session: 77_777 }));
    assert_eq!(cluster.read(1).await, "a,b");
    cluster.end().await;
}

#[test]
fn the_least_recently_used_session_goes() {
    let mut sessions = Sessions::default();
    for index in 1..=SESSIONS_MAX as u64 {
        sessions.open(Index(index));
    }
    sessions.applied(1, 1, Index(100_000), &"used".into());
    sessions.open(Index(100_001));
    assert!(matches!(sessions.judge(1, 1), Ok(Verdict::Known(answer)) if answer == "used"));
    assert!(matches!(sessions.judge(2, 1), Err(Error::NoSession { session: 2 })));
    let changes = sessions.take_changes();
    assert_eq!(changes.len(), SESSIONS_MAX + 1);
    let gone: Vec<_> = changes.iter().filter(|(_, row)| row.is_none()).collect();
    assert_eq!(gone, [&(2, None)]);
    assert!(sessions.take_changes().is_empty());
    let again = Sessions::from_rows(&sessions.rows()).expect("its own rows");
    assert_eq!(again, sessions);
}

#[test]
fn commands_are_read_as_they_were_written() {
    let body = &b"body"[..];
    let in_session = Command::InSession { session: 7, sequence: 9, body };
    for command in [Command::Plain(body), Command::Open, in_session.clone()] {
        assert_eq!(Command::decode(&command.encode()), Some(command));
    }
    let bytes = in_session.encode();
    for len in 0..17 {
        assert_eq!(Command::decode(&bytes[..len]), None);
    }
    assert_eq!(Command::decode(&[9]), None);
}
