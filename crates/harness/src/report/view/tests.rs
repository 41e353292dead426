use super::super::tests::golden;
use super::*;

fn only<'a>(builds: &'a [Build<'a>]) -> &'a Build<'a> {
    assert_eq!(builds.len(), 1);
    &builds[0]
}

#[test]
fn lines_are_in_order_and_complete() {
    let mut record = golden();
    let of_record = record.rows.len();
    // As a duel that goes through the threads first would leave them.
    record.rows.sort_by_key(|row| std::cmp::Reverse(row.threads));
    let builds = builds(&record);
    let build = only(&builds);
    assert_eq!(build.lines.len(), 24);
    assert_eq!(build.lines.iter().map(|line| line.rows.len()).sum::<usize>(), of_record);
    for pair in build.lines.chunks(2) {
        assert_eq!(pair[0].workload, pair[1].workload);
        assert_eq!((pair[0].threads, pair[1].threads), (1, 2));
    }
}

#[test]
fn a_peer_that_is_called_like_the_build_stays_a_peer() {
    let mut record = golden();
    for row in &mut record.rows {
        row.build = "raft".to_owned();
        row.contender =
            row.contender.replace("rate-limiter", "raft").replace("governor", "raft-rs");
    }
    record.ratios.clear();
    let builds = builds(&record);
    let contenders = &builds[0].contenders;
    assert_eq!(contenders[0], Contender { name: "raft", role: Role::Ours(0) });
    assert!(contenders.contains(&Contender { name: "raft-rs", role: Role::Peer(0) }));
}

#[test]
fn variants_and_the_learner_stand_beside_ours() {
    let mut record = golden();
    for ours in ["yours", "rate-limiter-narrow"] {
        let mut row = record.rows[0].clone();
        ours.clone_into(&mut row.contender);
        record.rows.push(row);
        let mut ratio = record.ratios[0].clone();
        ours.clone_into(&mut ratio.ours);
        record.ratios.push(ratio);
    }
    let builds = builds(&record);
    let build = only(&builds);
    assert_eq!(build.ours(), ["rate-limiter", "rate-limiter-narrow", "yours"]);
    let of_throughput =
        |column: &&Column<'_>| matches!(column, Column::Ratio { metric: "throughput", .. });
    assert_eq!(build.columns().iter().filter(of_throughput).count(), 3);
}

#[test]
fn the_mean_is_geometric_and_the_standings_add_up() {
    let mut record = golden();
    record.ratios.retain(|ratio| ratio.metric == "throughput" && ratio.best_peer);
    record.ratios.truncate(3);
    let set = [(4.0, 3.9, 4.1), (0.25, 0.2, 0.3), (1.0, 0.9, 1.1)];
    for (it, (ratio, lo, hi)) in record.ratios.iter_mut().zip(set) {
        (it.ratio, it.lo, it.hi) = (ratio, lo, hi);
    }
    let builds = builds(&record);
    let summaries = only(&builds).summaries();
    assert_eq!(summaries.len(), 1);
    let it = summaries[0];
    assert!((it.mean - 1.0).abs() < 1e-12, "{it:?}");
    assert_eq!((it.better, it.even, it.worse), (1, 1, 1));
    let losses = only(&builds).losses();
    assert_eq!(losses.len(), 1);
    assert!((losses[0].ratio - 0.25).abs() < 1e-12);
}

#[test]
fn an_interval_that_touches_one_is_no_win_and_no_loss() {
    let mut ratio = golden().ratios.swap_remove(0);
    for (lo, hi, standing) in [
        (1.0, 1.2, Standing::Even),
        (0.8, 1.0, Standing::Even),
        (1.001, 1.2, Standing::Better),
        (0.8, 0.999, Standing::Worse),
    ] {
        (ratio.lo, ratio.hi) = (lo, hi);
        assert_eq!(Standing::of(&ratio), standing, "{lo} to {hi}");
    }
}
