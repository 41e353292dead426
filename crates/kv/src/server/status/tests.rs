use super::*;

fn said(id: u64, role: &str, term: u64, voters: &[u64]) -> Value {
    json!({ "id": id, "role": role, "term": term, "voters": voters, "outgoing": [3],
            "learners": [4] })
}

fn members(all: &mut [Value]) -> Vec<Option<bool>> {
    mark_members(all);
    all.iter().map(|it| it["member"].as_bool()).collect()
}

/// Server 5 led before it was removed and has not heard of it; 6 waits to be added.
#[test]
fn the_latest_leader_says_who_is_a_member() {
    let down = json!({ "id": 2, "error": "connection refused" });
    let mut all = vec![said(1, "leader", 8, &[1, 2]), down, said(5, "leader", 7, &[1, 2, 5])];
    all.extend([3, 4, 6].map(|id| said(id, "follower", 8, &[id])));
    let expected = [true, true, false, true, true, false].map(Some);
    assert_eq!(members(&mut all), expected);
}

#[test]
fn nobody_says_it_without_a_leader() {
    let mut all = [said(1, "follower", 8, &[1, 2]), said(5, "candidate", 9, &[1, 2])];
    assert_eq!(members(&mut all), [None, None]);
}
