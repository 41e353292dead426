//! Traces to be read: `scripts/*.txt`, one for each figure of the paper and each family of bugs.
//!
//! ```text
//!   # prose
//!   > command
//!   what the cluster then does, line by line: a message, a write, an entry applied, a role
//! ```
//!
//! `UPDATE=1 cargo test -p raft@0.0.0 scripts` writes what happens into the files; without it,
//! each line must be what happened.
//!
//! | command                                | what it does                                        |
//! |----------------------------------------|-----------------------------------------------------|
//! | `cluster 3 [pre-vote] [check-quorum] [lease] [LIMIT=N] [witness=3]`  | founds one      |
//! | `given 2 term=4 log=1,1,4`             | a server, before it starts, has these terms         |
//! | `spare 4 [incarnation=N]`              | a server of no cluster yet; `w1` is a witness's     |
//! | `campaign 1`, `tick 1 20`              | at once; after so many ticks                        |
//! | `propose 1 x y`, `read 2 [lease]`      | to server 1; of server 2                            |
//! | `change 1 add-voter 4`, `joint 1 ...`  | also `add-learner 4@w1`, `remove 2`; `leave 1`      |
//! | `transfer 1 2`, `snapshot 1 keep=2`    | to 2; of what 1 has applied                         |
//! | `deliver`, `deliver 1->2`, `drop 1->2` | what is on its way now; `*` for any server          |
//! | `hold 1->2`, `release`                 | puts messages aside; they come back later           |
//! | `stabilise`                            | delivers until nothing is on its way                |
//! | `cut 1 2`, `cut 1->2`, `heal`          | from the rest; one way                              |
//! | `slow 1`, `sync 1`                     | its writes wait; the oldest becomes durable         |
//! | `crash 1`, `restart 1`, `wipe 1`       | comes back with an empty disk; `incarnation=N`      |
//! | `recover 1 give-up=2,3 [reachable=2]`  | it goes on alone, without a majority                |
//! | `status`, `log`, `state 1`             | of all; what 1 has applied                          |
//! | `quietly COMMAND`                      | the same without its lines                          |

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use env::fs::{Fs, FsExt, OsFs};

use super::cluster::Cluster;
use super::trace;
use crate::storage::Storage;
use crate::{
    Change, Config, Configuration, Entry, HardState, Incarnation, Index, MemoryStorage, Message,
    NodeId, Payload, ReadMode, Term, Way, Write,
};

/// What a script has in hand.
#[derive(Default)]
struct Stage {
    cluster: Cluster,
    founding: Vec<(NodeId, MemoryStorage)>,
    options: Vec<String>,
    held: Vec<Message>,
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn node(text: &str) -> NodeId {
    NodeId(number(text))
}

/// A disk; `w7` is that of a witness.
fn disk(text: &str) -> Incarnation {
    text.strip_prefix('w')
        .map_or_else(|| Incarnation(number(text)), |digits| Incarnation::witness(number(digits)))
}

/// `key=value` among `words`.
fn option<'w>(words: &[&'w str], key: &str) -> Option<&'w str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Whether a message goes along `1->2`, `*->2` or `*`.
fn along(path: Option<&&str>) -> impl Fn(&Message) -> bool + use<> {
    let (from, to) = path.and_then(|path| path.split_once("->")).unwrap_or(("*", "*"));
    let (from, to) = (from.to_owned(), to.to_owned());
    move |message| {
        let is = |wanted: &str, id: NodeId| wanted == "*" || node(wanted) == id;
        is(&from, message.from) && is(&to, message.to)
    }
}

impl Stage {
    /// Performs one command; returns its lines.
    fn perform(&mut self, line: &str) -> Vec<String> {
        if let Some(rest) = line.strip_prefix("quietly ") {
            self.perform(rest);
            return Vec::new();
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (command, arguments) = words.split_first().expect("a command has a name");
        if !["cluster", "given"].contains(command) {
            self.found();
        }
        match *command {
            "cluster" | "given" | "spare" => self.build(command, arguments),
            "deliver" | "drop" | "hold" | "release" | "stabilise" | "cut" | "heal" => {
                self.move_messages(command, arguments);
            }
            "recover" => self.recover(node(arguments[0]), arguments),
            "slow" | "sync" | "crash" | "restart" | "wipe" | "snapshot" => {
                self.touch_disk(command, node(arguments[0]), arguments);
            }
            "status" | "log" | "state" => self.show(command, arguments),
            _ => self.ask(command, node(arguments[0]), &arguments[1..]),
        }
        self.cluster.take_lines()
    }

    fn build(&mut self, command: &str, words: &[&str]) {
        match command {
            "cluster" => {
                let witness = option(words, "witness").map(node);
                let disk_of =
                    |id| if witness == Some(id) { Incarnation::witness(0) } else { Incarnation(0) };
                let members = (1..=number(words[0])).map(|id| (NodeId(id), disk_of(NodeId(id))));
                let configuration = Configuration::founding_with(members).expect("one can be");
                let disk = |id| (id, MemoryStorage::founding(configuration.clone()));
                self.founding = configuration.voters.iter().map(|&id| disk(id)).collect();
                self.options = words.iter().map(|&word| word.to_owned()).collect();
            }
            "given" => {
                let (id, disk) = given(words);
                let known = self.founding.iter_mut().find(|(other, _)| *other == id);
                let (_, storage) = known.expect("given before the cluster starts");
                storage.write(&disk);
            }
            _ => {
                let mut config = self.config(node(words[0]));
                config.incarnation =
                    option(words, "incarnation").map_or_else(Default::default, disk);
                self.cluster.add(config, MemoryStorage::new());
            }
        }
    }

    fn config(&self, id: NodeId) -> Config {
        let words: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let mut config = Config::new(id, 0);
        if option(&words, "witness").map(node) == Some(id) {
            config.incarnation = Incarnation::witness(0);
        }
        config.pre_vote = words.contains(&"pre-vote");
        config.check_quorum = words.contains(&"check-quorum") || words.contains(&"lease");
        if words.contains(&"lease") {
            config.lease_margin_ticks = Some(2);
        }
        if let Some(max) = option(&words, "uncommitted") {
            config.uncommitted_bytes_max = number(max);
        }
        if let Some(timeouts) = option(&words, "stall") {
            config.stall_timeouts = u32::try_from(number(timeouts)).expect("it is small");
        }
        if let Some(max) = option(&words, "message") {
            config.message_bytes_max = number(max);
        }
        if let Some(max) = option(&words, "chunk") {
            config.chunk_bytes = number(max);
        }
        config
    }

    /// Starts what `cluster` and `given` have described.
    fn found(&mut self) {
        for (id, disk) in std::mem::take(&mut self.founding) {
            self.cluster.add(self.config(id), disk);
        }
    }

    fn move_messages(&mut self, command: &str, words: &[&str]) {
        let matches = along(words.first());
        match command {
            "deliver" => _ = self.cluster.deliver(matches),
            "drop" => self.cluster.network.retain(|message| !matches(message)),
            "hold" => {
                let all = std::mem::take(&mut self.cluster.network);
                let (held, rest): (Vec<_>, _) = all.into_iter().partition(|it| matches(it));
                self.held.extend(held);
                self.cluster.network = rest.into();
            }
            "release" => self.cluster.network.extend(self.held.drain(..)),
            "heal" => self.cluster.cuts.clear(),
            "cut" => self.cut(words),
            _ => self.cluster.stabilise(),
        }
    }

    fn cut(&mut self, words: &[&str]) {
        if let Some((from, to)) = words[0].split_once("->") {
            self.cluster.cuts.insert((node(from), node(to)));
            return;
        }
        let group: BTreeSet<NodeId> = words.iter().map(|word| node(word)).collect();
        let all: Vec<NodeId> = self.cluster.servers.keys().copied().collect();
        for &one in &all {
            for &other in all.iter().filter(|other| group.contains(&one) != group.contains(other)) {
                self.cluster.cuts.insert((one, other));
            }
        }
        let cuts = &self.cluster.cuts;
        self.cluster.network.retain(|it| !cuts.contains(&(it.from, it.to)));
    }

    fn touch_disk(&mut self, command: &str, id: NodeId, words: &[&str]) {
        match command {
            "slow" => self.cluster.server(id).is_slow = true,
            "sync" => {
                self.cluster.finish_write(id);
                self.cluster.pump(id);
            }
            "crash" => self.cluster.crash(id),
            "restart" => self.cluster.start(id),
            "wipe" => self.cluster.wipe(id, option(words, "incarnation").map(disk)),
            _ => self.cluster.snapshot(id, option(words, "keep").map_or(0, number)),
        }
    }

    /// An operator has a server that is down go on alone.
    fn recover(&mut self, id: NodeId, words: &[&str]) {
        let names =
            |key| option(words, key).map_or_else(Vec::new, |it| it.split(',').map(node).collect());
        let (given_up, reachable) = (names("give-up"), names("reachable"));
        self.cluster.recover(id, &given_up, &reachable);
    }

    fn ask(&mut self, command: &str, id: NodeId, words: &[&str]) {
        let raft = self.cluster.raft(id);
        let refusal = match command {
            "campaign" => {
                raft.campaign();
                None
            }
            "tick" => {
                for _ in 0..words.first().map_or(1, |word| number(word)) {
                    self.cluster.raft(id).tick();
                    self.cluster.pump(id);
                }
                None
            }
            "propose" => {
                let commands = words.iter().map(|word| Bytes::from((*word).to_owned())).collect();
                raft.propose_all(commands).err().map(|error| error.to_string())
            }
            "read" => {
                let is_lease = words.contains(&"lease");
                let mode = if is_lease { ReadMode::Lease } else { ReadMode::Quorum };
                raft.read(mode).err().map(|error| error.to_string())
            }
            "change" => raft.change(&changes(words), Way::Simple).err().map(|it| it.to_string()),
            "joint" => raft.change(&changes(words), Way::Joint).err().map(|it| it.to_string()),
            "leave" => raft.leave_joint().err().map(|error| error.to_string()),
            "transfer" => raft.transfer(node(words[0])).err().map(|error| error.to_string()),
            _ => panic!("there is no command {command:?}"),
        };
        if let Some(refusal) = refusal {
            self.cluster.say(format!("{id} refuses: {refusal}"));
        }
        self.cluster.pump(id);
    }

    fn show(&mut self, command: &str, words: &[&str]) {
        if command == "state" {
            let id = node(words[0]);
            let state = self.cluster.server(id).state.join(" ");
            return self.cluster.say(format!("{id} has applied [{state}]"));
        }
        let mut lines = Vec::new();
        for (id, server) in &self.cluster.servers {
            lines.push(match &server.raft {
                None => format!("{id} is down"),
                Some(raft) if command == "log" => {
                    let (first, last) = (raft.storage().first_index(), raft.status().last.index);
                    let term = |at| raft.term_at(Index(at)).map_or(0, |term| term.0).to_string();
                    let terms: Vec<_> = (first.0..=last.0).map(term).collect();
                    format!("{id} from {first}: {}", terms.join(" "))
                }
                Some(raft) => {
                    let it = raft.status();
                    let configuration = trace::configuration(raft.configuration());
                    format!(
                        "{id} {:?} t{} last {} commit {} {configuration}",
                        it.role,
                        it.term,
                        trace::position(it.last),
                        it.commit
                    )
                }
            });
        }
        for line in lines {
            self.cluster.say(line);
        }
    }
}

/// The store of a server that has entries of these terms.
fn given(words: &[&str]) -> (NodeId, Write) {
    let terms: Vec<u64> = option(words, "log").map_or_else(Vec::new, |log| {
        log.split(',').filter(|it| !it.is_empty()).map(number).collect()
    });
    let entry = |(at, term): (usize, &u64)| Entry {
        index: Index(at as u64 + 1),
        term: Term(*term),
        payload: Payload::Command(Bytes::from(format!("c{}.{term}", at + 1))),
    };
    let entries: Vec<_> = terms.iter().enumerate().map(entry).collect();
    let last = terms.last().copied().unwrap_or(0);
    let term = Term(option(words, "term").map_or(last, number));
    let commit = Index(option(words, "commit").map_or(0, number));
    let hard_state = HardState { term, vote: None, commit };
    let entries = entries.into();
    let write = Write { sequence: 0, hard_state, snapshot: None, entries, promises: Vec::new() };
    (node(words[0]), write)
}

fn changes(words: &[&str]) -> Vec<Change> {
    let one = |pair: &[&str]| {
        let (id, of) = pair[1].split_once('@').unwrap_or((pair[1], "0"));
        let (id, disk) = (node(id), disk(of));
        match pair[0] {
            "add-voter" => Change::AddVoter(id, disk),
            "add-learner" => Change::AddLearner(id, disk),
            "remove" => Change::Remove(id),
            other => panic!("there is no change {other:?}"),
        }
    };
    words.chunks(2).map(one).collect()
}

/// Runs a script; returns it with the lines that came.
pub(super) fn run(text: &str) -> String {
    let mut stage = Stage::default();
    let mut result = String::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            writeln!(result, "{line}").expect("a string takes all");
            for said in stage.perform(command) {
                writeln!(result, "{said}").expect("a string takes all");
            }
        } else if line.starts_with('#') || line.is_empty() {
            writeln!(result, "{line}").expect("a string takes all");
        }
    }
    result
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/scripts")
}

/// A script and its name.
pub(super) fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in OsFs.list(&folder()).expect("the scripts are there") {
        let text = OsFs.read_to_string(&folder().join(&entry.name)).expect("it can be read");
        found.push((entry.name.to_string_lossy().into_owned(), text));
    }
    assert!(!found.is_empty(), "there are scripts");
    found
}

#[test]
fn scripts_are_what_happens() {
    let updates = std::env::var("UPDATE").is_ok();
    for (name, text) in all() {
        let now = run(&text);
        if updates {
            OsFs.write_atomic(&folder().join(&name), now.as_bytes()).expect("it can be written");
        } else {
            let difference = now.lines().zip(text.lines()).find(|(now, then)| now != then);
            assert_eq!(now, text, "{name} differs first at (now, then) {difference:#?}");
        }
    }
}
