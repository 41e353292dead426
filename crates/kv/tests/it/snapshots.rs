//! A server that is killed while it is sent a snapshot.

use std::time::Duration;

use env::fs::{Fs, FsErrorKind, OsFs};
use env::random::{Random, SeededRandom};
use kv::{Client, Consistency};
use tokio::time::sleep;

use super::processes::Cluster;

/// Values of this length; digits take half of it where they are packed.
const LEN: usize = 100_000;

/// So many of them take more than three megabytes also then, and a leader keeps one of its log.
const VALUES: usize = 80;

fn text(random: &mut SeededRandom) -> String {
    let words: Vec<_> = (0..LEN / 16).map(|_| format!("{:016x}", random.next_u64())).collect();
    words.concat()
}

/// Snapshots that a server has in its folder.
fn snapshots(cluster: &Cluster, id: usize) -> usize {
    match OsFs.list(&cluster.dir(id).join("raft/snapshots")) {
        Ok(files) => files.len(),
        Err(cause) => {
            assert_eq!(cause.kind, FsErrorKind::NotFound, "{cause}");
            0
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_while_it_is_sent_a_snapshot_comes_back_for_it() {
    let mut cluster = Cluster::new().await;
    let (mut client, mut random) = (cluster.client(30), SeededRandom::new(11));
    let values: Vec<_> = (0..VALUES).map(|_| text(&mut random)).collect();
    for (number, value) in values.iter().enumerate() {
        client.put(&format!("key {number}"), value).await.expect("the cluster comes up");
    }
    let address = cluster.address(4).parse().expect("it is one");
    for megabytes in 1..=3 {
        cluster.proxies[3].allow(Some(megabytes << 20));
        cluster.start(4, true);
        if megabytes == 1 {
            client.add(4, &address).await.expect("it is taken in");
        }
        for _ in 0..400 {
            if cluster.proxies[3].is_holding() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        let passed = cluster.proxies[3].passed();
        assert!(cluster.proxies[3].is_holding(), "{megabytes} MB of a snapshot come: {passed}");
        assert_eq!(snapshots(&cluster, 4), 0, "it is not there before all of it is");
        cluster.kill(4);
        // Who does not hear of the fourth server goes on without it.
        client.put("meanwhile", "it").await.expect("three of four are up");
    }
    cluster.proxies[3].allow(None);
    cluster.start(4, true);
    let mut newcomer = Client::new(cluster.http(&[4]), Duration::from_secs(30));
    for (number, value) in values.iter().enumerate() {
        let found = newcomer.get(&format!("key {number}"), Consistency::Linearizable).await;
        assert_eq!(found.as_ref(), Ok(&Some(value.clone())), "key {number}");
    }
    assert_eq!(
        newcomer.get("meanwhile", Consistency::Linearizable).await,
        Ok(Some("it".to_owned()))
    );
    let status = newcomer.call("GET", "/status", None).await.expect("it answers");
    assert_eq!(status["stats"]["restores"], 1, "it came by a snapshot, once: {status}");
}
