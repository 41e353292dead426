//! One node alone, by its lines; and lines that are none.

use std::io::{BufReader, Cursor};
use std::time::Duration;

use env::random::{Random, SeededRandom};
use serde_json::{Value, json};

use super::protocol::{Code, Line, Request};
use super::state::{CommandId, State, command};
use super::{LINE_MAX, Options, read_lines, run};

#[test]
fn requests_are_read_or_refused_with_the_protocols_codes() {
    let request = |body: Value| {
        let line = json!({ "src": "c1", "dest": "n1", "body": body }).to_string();
        Line::parse(line.as_bytes()).request()
    };
    let cas = json!({ "type": "cas", "key": 1, "from": 2, "to": 3 });
    let wanted = Request::Cas { key: 1.into(), from: 2.into(), to: 3.into(), create: false };
    assert_eq!(request(cas), Ok(wanted));
    assert_eq!(request(json!({ "type": "write", "key": 1 })), Err(Code::MalformedRequest));
    assert_eq!(request(json!({ "type": "txn" })), Err(Code::NotSupported));
    assert_eq!(request(json!("read")), Err(Code::MalformedRequest));
    let line = Line::parse(br#"{"src":"c","dest":"n","body":{"type":"txn","msg_id":4}}"#);
    let refusal: Value = serde_json::from_slice(&line.refusal(Code::NotSupported, "no")).expect("");
    assert_eq!(refusal["body"]["code"], 10);
    assert_eq!((&refusal["dest"], &refusal["body"]["in_reply_to"]), (&json!("c"), &json!(4)));
}

#[test]
fn commands_do_what_lin_kv_says() {
    let mut state = State::default();
    let id = CommandId { server: 1, boot: 2, sequence: 3 };
    let mut apply = |request| {
        let bytes = command(id, request).expect("it writes");
        state.apply(&bytes).expect("it is a command").1.map_err(|(code, _)| code)
    };
    let cas = |from: u64, to: u64, create| Request::Cas {
        key: "k".into(),
        from: from.into(),
        to: to.into(),
        create,
    };
    assert_eq!(apply(cas(1, 2, false)), Err(Code::KeyDoesNotExist));
    assert!(apply(cas(1, 2, true)).is_ok(), "it is created");
    assert_eq!(apply(cas(1, 3, false)), Err(Code::PreconditionFailed));
    assert!(apply(cas(2, 4, false)).is_ok());
    assert!(apply(Request::Write { key: "k".into(), value: json!([1]) }).is_ok());
    assert_eq!(state.read(&"k".into()).expect("it is there")["value"], json!([1]));
    assert_eq!(State::decode(&state.encode()), Some(state));
}

/// A node that is the whole cluster reads its input to the end and answers what it can.
#[test]
fn what_is_no_line_is_passed_over_and_the_node_goes_on() {
    let mut random = SeededRandom::new(5);
    let good = br#"{"src":"n1","dest":"n1","body":{"type":"raft","data":"0401020300"}}"#;
    let mut input = Vec::new();
    input.extend(br#"{"src":"c0","dest":"n1","body":{"type":"read","key":1,"msg_id":1}}"#);
    input.push(b'\n');
    let init = r#"{"type":"init","node_id":"n1","node_ids":["n1"],"msg_id":2}"#;
    input.extend(format!("{{\"src\":\"c0\",\"dest\":\"n1\",\"body\":{init}}}\n").bytes());
    for _ in 0..2_000 {
        let mut line = good.to_vec();
        for _ in 0..=random.below(4) {
            let at = usize::try_from(random.below(line.len() as u64)).expect("it is small");
            line[at] = random.next_u64().to_le_bytes()[0];
        }
        input.extend(line);
        input.push(b'\n');
    }
    input.extend([b"[".repeat(100_000), vec![b'\n']].concat());
    let last = r#"{"type":"echo","msg_id":77}"#;
    input.extend(format!("{{\"src\":\"c0\",\"dest\":\"n1\",\"body\":{last}}}\n").bytes());
    let mut output = Vec::new();
    let options = Options { dir: None, tick: Duration::from_millis(1), stale_reads: false };
    run(BufReader::new(Cursor::new(input)), &mut output, options).expect("it ends with its input");
    let text = String::from_utf8(output).expect("lines are text");
    let answer = |id: u64| text.lines().find(|it| it.contains(&format!("\"in_reply_to\":{id}")));
    assert!(answer(1).is_some_and(|it| it.contains("\"code\":11")), "before init: {text}");
    assert!(answer(2).is_some_and(|it| it.contains("init_ok")));
    assert!(answer(77).is_some_and(|it| it.contains("\"code\":10")), "it went on");
}

#[test]
fn a_line_without_end_takes_no_more_memory_than_one_may() {
    let (sender, lines) = std::sync::mpsc::sync_channel(8);
    let long = vec![b'x'; usize::try_from(2 * LINE_MAX + 7).expect("it is small")];
    let input = [long, b"\n{\"src\":\"a\"}\n".to_vec()].concat();
    read_lines(Cursor::new(input), &sender);
    drop(sender);
    let sources: Vec<_> = lines.iter().map(|line| line.src).collect();
    assert_eq!(sources, ["a"]);
}
