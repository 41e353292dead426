//! Members that come, go, and come back with another disk.

use std::process::Stdio;
use std::time::Duration;

use kv::{Client, Consistency};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::processes::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_members_are_replaced_at_once() {
    let mut cluster = Cluster::new().await;
    let mut client = cluster.client(30);
    client.put("before", "it").await.expect("the cluster comes up");
    let leader = cluster.leader().await;
    let gone = [leader, 1 + leader % 3];
    let stays = 1 + (leader + 1) % 3;
    let newcomers = [4, 5].map(|id| {
        cluster.start(id, true);
        (id as u64, cluster.address(id).parse().expect("it is one"))
    });
    client.change(&newcomers, &gone.map(|id| id as u64)).await.expect("it is agreed on");
    let mut rest = Client::new(cluster.http(&[stays, 4, 5]), Duration::from_secs(30));
    // Those that are gone are there, and nobody has told them: the leader knows.
    let is_gone = |it: &Value| gone.iter().any(|id| it["id"] == *id as u64);
    for turn in 0.. {
        let all = rest.call("GET", "/cluster", None).await.expect("a server answers");
        let all = all.as_array().expect("it is a list");
        let is_said = all.iter().all(|it| it["member"] == !is_gone(it));
        if is_said && all.iter().filter(|it| is_gone(it)).count() == 2 {
            break;
        }
        assert!(turn < 200, "{all:?}");
        sleep(Duration::from_millis(50)).await;
    }
    for id in gone {
        cluster.kill(id);
    }
    // Neither of those that are gone is needed, though they were a majority.
    assert_eq!(rest.put("after", "it").await, Ok(None));
    for consistency in [Consistency::Linearizable, Consistency::Lease] {
        assert_eq!(rest.get("before", consistency).await, Ok(Some("it".to_owned())));
    }
    let status = rest.call("GET", "/status", None).await.expect("it answers");
    let mut voters = vec![stays, 4, 5];
    voters.sort_unstable();
    assert_eq!((&status["voters"], &status["outgoing"]), (&json!(voters), &json!([])));
    // A request whose answer was lost may be sent again.
    rest.change(&newcomers, &gone.map(|id| id as u64)).await.expect("it is done already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_disk_is_noticed_and_the_server_added_anew() {
    let mut cluster = Cluster::new().await;
    let mut client = cluster.client(30);
    // A megabyte and more: the log is compacted, and who joins needs a snapshot.
    let long = "x".repeat(100_000);
    for number in 0..15 {
        client.put(&format!("key {number}"), &long).await.expect("the cluster comes up");
    }
    // All have announced themselves by the time that the leader knows of all.
    for _ in 0..200 {
        let all = client.call("GET", "/cluster", None).await.expect("a server answers");
        let knows = |it: &Value| it["servers"].as_object().is_some_and(|known| known.len() == 3);
        if all.as_array().is_some_and(|all| all.iter().all(knows)) {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let lost = cluster.leader().await;
    cluster.kill(lost);
    let wiped = cluster.folder.path().join("wiped");
    let fs = env::fs::OsFs;
    env::fs::Fs::rename(&fs, &cluster.dir(lost), &wiped).expect("it is ours");
    let refused = cluster.command(lost, false).stderr(Stdio::piped()).output();
    let refused = refused.expect("the program is there");
    assert!(!refused.status.success());
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("with a disk that is not this one"), "{words}");

    client.call("DELETE", &format!("/members/{lost}"), None).await.expect("others decide");
    cluster.start(lost, true);
    let address = cluster.address(lost).parse().expect("it is one");
    client.add(lost as u64, &address).await.expect("it is taken in");
    cluster.start(4, true);
    let address = cluster.address(4).parse().expect("it is one");
    client.add(4, &address).await.expect("it is taken in");
    let mut newcomer = Client::new(cluster.http(&[4]), Duration::from_secs(20));
    assert_eq!(newcomer.get("key 14", Consistency::Linearizable).await, Ok(Some(long)));
    let status = newcomer.call("GET", "/status", None).await.expect("it answers");
    assert_eq!(status["voters"], json!([1, 2, 3, 4]));
    assert_eq!(status["stats"]["restores"], 1, "it came by a snapshot: {status}");

    // Leadership goes where it is sent, and a program that is asked to end does so.
    // A transfer that takes longer than an election timeout is given up; then it is tried again.
    let to = json!({ "to": 4 });
    for turn in 0..200 {
        if cluster.leader().await == 4 {
            break;
        }
        if turn % 20 == 0 {
            client.call("POST", "/transfer", Some(&to)).await.ok();
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cluster.leader().await, 4);
    cluster.signal(4, Signal::TERM);
    let ended = cluster.children[3].take().expect("it runs").wait().expect("it is ours");
    assert!(ended.success(), "{ended}");
    assert_eq!(client.put("after", "it").await, Ok(None));
}
