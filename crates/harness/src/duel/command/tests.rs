use clap::Parser;

use super::question::{Misunderstood, select};
use super::{Arguments, target_of};
use crate::contract::Unsupported;
use crate::duel::{Contender, Line};

fn lines() -> Vec<Line> {
    let make = |_| Err(Unsupported("only its name is needed".to_owned()));
    let contender = |name, ours| Contender { name, version: "0", ours, make };
    let line = |build, workload, threads| {
        let contenders = vec![contender(build, true), contender("papaya", false)];
        Line::new(build, workload, threads, contenders)
    };
    vec![
        line("hashmap", "read-only/1k", 1),
        line("hashmap", "read-only/1k", 2),
        line("hashmap", "update/1k", 1),
        line("raft", "step/batch-1", 1),
    ]
}

fn selected(words: &str) -> Result<Vec<String>, Misunderstood> {
    let words = std::iter::once("duel").chain(words.split_whitespace());
    let arguments = Arguments::try_parse_from(words).expect("the words are legal");
    let lines = select(&arguments, lines())?;
    let name = |line: Line| {
        let contenders: Vec<_> = line.contenders.iter().map(|it| it.name).collect();
        format!("{}/{} x{} {}", line.build, line.workload, line.threads, contenders.join("+"))
    };
    Ok(lines.into_iter().map(name).collect())
}

#[test]
fn without_a_question_everything_is_measured() {
    assert_eq!(selected("--bench").map(|lines| lines.len()), Ok(4));
}

#[test]
fn builds_workloads_threads_and_contenders_select() {
    let expected = vec![
        "hashmap/read-only/1k x1 hashmap+papaya".to_owned(),
        "hashmap/read-only/1k x2 hashmap+papaya".to_owned(),
    ];
    assert_eq!(selected("hashmap --workload read"), Ok(expected));
    let expected = vec!["hashmap/read-only/1k x2 hashmap+papaya".to_owned()];
    assert_eq!(selected("--threads 2"), Ok(expected));
    let expected = vec!["raft/step/batch-1 x1 raft".to_owned()];
    assert_eq!(selected("raft --contender raft"), Ok(expected));
}

#[test]
fn what_is_unknown_is_answered_with_what_is_known() {
    let said = |words: &str| selected(words).expect_err("it is unknown").to_string();
    assert_eq!(said("hashmpa"), "no build is called \"hashmpa\"; there are: hashmap, raft");
    assert_eq!(
        said("--contender dashmap"),
        "no contender is called \"dashmap\"; there are: hashmap, papaya, raft"
    );
    assert_eq!(
        said("hashmap --workload step"),
        "no workload contains \"step\"; there are: read-only/1k, update/1k"
    );
    assert_eq!(
        said("raft --threads 2"),
        "no line has that number of threads; there are lines for: [1]"
    );
    assert!(said("--save ../../x").contains("cannot name a record"));
    assert!(said("--baseline=").contains("cannot name a record"));
}

#[test]
fn the_folder_of_outputs_is_found_from_the_program() {
    let target = |program: &str| target_of(program.as_ref());
    assert_eq!(target("/a/target/release/deps/duel-1"), Some("/a/target".into()));
    assert_eq!(target("/usr/bin/duel"), None);
}
