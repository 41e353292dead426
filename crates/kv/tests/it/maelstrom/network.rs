//! Processes, and the network between them: everything that they say goes through here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use env::random::{Random, SeededRandom};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

/// One line of so many between nodes is lost.
const LOST_ONE_OF: u64 = 50;

/// A line takes up to so long, and passes earlier ones.
const DELAY_MICROS: u64 = 4_000;

/// A network with its processes. Copies are the same one.
#[derive(Clone)]
pub(super) struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    folder: tempfile::TempDir,
    nodes: usize,
    arguments: Vec<String>,
    stamps: AtomicU64,
    state: Mutex<State>,
    /// Every line that a process has written.
    said: mpsc::UnboundedSender<String>,
}

struct State {
    random: SeededRandom,
    children: BTreeMap<u64, Child>,
    /// To the standard input of each process.
    inputs: BTreeMap<u64, mpsc::UnboundedSender<String>>,
    /// From whom nothing gets to whom.
    cuts: BTreeSet<(String, String)>,
    requests: BTreeMap<u64, oneshot::Sender<Value>>,
    next_id: u64,
}

fn name(node: u64) -> String {
    format!("n{node}")
}

impl Network {
    pub(super) async fn new(nodes: usize, seed: u64, arguments: &[&str]) -> Self {
        let (said, lines) = mpsc::unbounded_channel();
        let state = State {
            random: SeededRandom::new(seed),
            children: BTreeMap::new(),
            inputs: BTreeMap::new(),
            cuts: BTreeSet::new(),
            requests: BTreeMap::new(),
            next_id: 0,
        };
        let folder = tempfile::tempdir().expect("there is room");
        let arguments = arguments.iter().map(|&it| it.to_owned()).collect();
        let (stamps, state) = (AtomicU64::new(0), Mutex::new(state));
        let shared = Shared { folder, nodes, arguments, stamps, state, said };
        let network = Self { shared: Arc::new(shared) };
        tokio::spawn(route(network.clone(), lines));
        for node in 1..=nodes as u64 {
            network.start(node).await;
        }
        network
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("nobody panics with it")
    }

    pub(super) fn nodes(&self) -> usize {
        self.shared.nodes
    }

    /// The next moment of the history.
    pub(super) fn stamp(&self) -> u64 {
        self.shared.stamps.fetch_add(1, Ordering::SeqCst)
    }

    /// Starts a node and tells it its name.
    pub(super) async fn start(&self, node: u64) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maelstrom-node"));
        command.args(&self.shared.arguments).args(["--tick-ms", "15", "--dir"]);
        command.arg(self.shared.folder.path().join(name(node)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program is there");
        let mut stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (input, mut lines) = mpsc::unbounded_channel::<String>();
        // Threads, since a process that is stopped reads nothing and a pipe is short.
        thread::spawn(move || {
            while let Some(line) = lines.blocking_recv() {
                if writeln!(stdin, "{line}").and_then(|()| stdin.flush()).is_err() {
                    return;
                }
            }
        });
        let said = self.shared.said.clone();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        {
            let mut state = self.state();
            state.children.insert(node, child);
            state.inputs.insert(node, input);
        }
        let names: Vec<_> = (1..=self.shared.nodes as u64).map(name).collect();
        let init = json!({ "type": "init", "node_id": name(node), "node_ids": names });
        let answer = self.request(0, node, init, Duration::from_secs(10)).await;
        assert_eq!(answer.expect("it starts")["type"], "init_ok");
    }

    /// Asks a node, and waits for the answer.
    pub(super) async fn request(
        &self,
        client: usize,
        node: u64,
        mut body: Value,
        patience: Duration,
    ) -> Option<Value> {
        let (reply, answer) = oneshot::channel();
        let id = {
            let mut state = self.state();
            state.next_id += 1;
            let id = state.next_id;
            state.requests.insert(id, reply);
            body["msg_id"] = id.into();
            let line = json!({ "src": format!("c{client}"), "dest": name(node), "body": body });
            if let Some(input) = state.inputs.get(&node) {
                input.send(line.to_string()).ok();
            }
            id
        };
        let answer = timeout(patience, answer).await;
        self.state().requests.remove(&id);
        answer.ok()?.ok()
    }

    /// Cuts nodes from all others: both ways, or what they say.
    pub(super) fn cut(&self, group: &[u64], both: bool) {
        let mut state = self.state();
        for &inside in group {
            for other in (1..=self.shared.nodes as u64).filter(|it| !group.contains(it)) {
                state.cuts.insert((name(inside), name(other)));
                if both {
                    state.cuts.insert((name(other), name(inside)));
                }
            }
        }
    }

    pub(super) fn heal(&self) {
        self.state().cuts.clear();
    }

    pub(super) fn kill(&self, node: u64) {
        let mut state = self.state();
        state.inputs.remove(&node);
        if let Some(mut child) = state.children.remove(&node) {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    fn signal(&self, node: u64, signal: Signal) {
        if let Some(child) = self.state().children.get(&node) {
            kill_process(Pid::from_child(child), signal).expect("it is ours");
        }
    }

    pub(super) fn stop(&self, node: u64) {
        self.signal(node, Signal::STOP);
    }

    pub(super) fn go_on(&self, node: u64) {
        self.signal(node, Signal::CONT);
    }

    /// Ends all processes.
    pub(super) fn end(&self) {
        (1..=self.shared.nodes as u64).for_each(|node| self.kill(node));
    }

    /// Takes a line to where it goes, or not, or later.
    fn deliver(&self, line: String) {
        let parsed: Value = serde_json::from_str(&line).expect("nodes write JSON");
        let [src, dest] = ["src", "dest"].map(|it| parsed[it].as_str().expect("it has").to_owned());
        let mut state = self.state();
        let Some(node) = dest.strip_prefix('n').and_then(|it| it.parse::<u64>().ok()) else {
            let id = parsed["body"]["in_reply_to"].as_u64().expect("clients are answered");
            if let Some(reply) = state.requests.remove(&id) {
                reply.send(parsed["body"].clone()).ok();
            }
            return;
        };
        if state.cuts.contains(&(src, dest)) || state.random.below(LOST_ONE_OF) == 0 {
            return;
        }
        let delay = Duration::from_micros(state.random.below(DELAY_MICROS));
        let Some(input) = state.inputs.get(&node).cloned() else { return };
        tokio::spawn(async move {
            sleep(delay).await;
            input.send(line).ok();
        });
    }
}

async fn route(network: Network, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        network.deliver(line);
    }
}
