//! `strata-kv`: the server, and a client for the command line.
//!
//! # What this module does not do
//!
//! It only reads arguments and shows answers.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use kv::{Address, Client, ClientError, Consistency, Lost, Server, Settings, backup};
use raft::NodeId;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

/// A replicated key-value store.
#[derive(Parser)]
#[command(name = "strata-kv", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run a server
    Serve(Serve),
    /// Set a value
    Put {
        #[command(flatten)]
        at: At,
        key: String,
        value: String,
    },
    /// Show a value; exits with 1 where there is none
    Get {
        #[command(flatten)]
        at: At,
        /// By the leader's lease, without asking a majority; assumes clocks of about one speed
        #[arg(long)]
        lease: bool,
        /// As the first server that answers has it, without asking the leader
        #[arg(long, conflicts_with = "lease")]
        stale: bool,
        key: String,
    },
    /// Take a key away
    Delete {
        #[command(flatten)]
        at: At,
        key: String,
    },
    /// Set a value where the key has the expected one; exits with 1 where it has another
    Cas {
        #[command(flatten)]
        at: At,
        key: String,
        /// The value that it must have; without it, none
        #[arg(long)]
        expect: Option<String>,
        value: String,
    },
    /// UNSAFE: have one server go on alone, where a majority is lost for good
    Recover(Recover),
    /// Show all servers
    Status {
        #[command(flatten)]
        at: At,
    },
    /// Add a server that was started with --join
    Add {
        #[command(flatten)]
        at: At,
        /// Its name and where it is: `ID=HOST:HTTP_PORT:RAFT_PORT`
        #[arg(value_parser = Address::parse_named)]
        server: (NodeId, Address),
    },
    /// Remove a server
    Remove {
        #[command(flatten)]
        at: At,
        id: u64,
    },
    /// Add servers that were started with --join, and remove others, in one step
    Change {
        #[command(flatten)]
        at: At,
        /// Names and where they are: `ID=HOST:HTTP_PORT:RAFT_PORT`, separated by commas
        #[arg(long, value_delimiter = ',', value_parser = Address::parse_named)]
        add: Vec<(NodeId, Address)>,
        /// Numbers, separated by commas
        #[arg(long, value_delimiter = ',', required_unless_present = "add")]
        remove: Vec<u64>,
    },
    /// Give leadership to another server
    Transfer {
        #[command(flatten)]
        at: At,
        id: u64,
    },
    /// Have a server make a snapshot and compact its log
    Snapshot {
        #[command(flatten)]
        at: At,
    },
    /// Write all keys, as they are at one moment, to a file
    Backup {
        #[command(flatten)]
        at: At,
        file: PathBuf,
    },
    /// Bring the keys of a backup into a cluster that has none
    Restore {
        #[command(flatten)]
        at: At,
        /// In the place of all keys that there are
        #[arg(long)]
        replace: bool,
        file: PathBuf,
    },
}

/// Which server of which cluster.
#[derive(Args)]
struct Own {
    /// The name of this server
    #[arg(long)]
    id: u64,
    /// All servers, this one included: `ID=HOST:HTTP_PORT:RAFT_PORT`, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = Address::parse_named, required = true)]
    peers: Vec<(NodeId, Address)>,
    /// Where the files of this server are
    #[arg(long)]
    dir: PathBuf,
    /// The number of the cluster, which keeps it apart from others on the network
    #[arg(long, default_value_t = 1)]
    cluster: u64,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    own: Own,
    /// Where to listen for peers, `HOST:PORT`, where something stands in between
    #[arg(long)]
    listen_raft: Option<String>,
    /// Wait to be added to a cluster, instead of founding one with the peers
    #[arg(long)]
    join: bool,
    /// The same, and keep no values: vote only. Two servers and a witness bear the loss of one
    #[arg(long, conflicts_with = "join")]
    witness: bool,
    /// Milliseconds; an election takes 10 to 20 ticks
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    tick_ms: u64,
    /// Megabytes of the log after which a snapshot is made
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    compact_mb: u64,
    /// Entries that stay then, for servers that are a little behind
    #[arg(long, default_value_t = 1_000)]
    keep_entries: u64,
}

/// What a majority has committed without this server is lost. Run it while the server is down, on
/// the survivor with the most up-to-date log. All others must be given up by name; they come back
/// with empty folders, started with --join and added. From now on the cluster has another number.
/// The other servers are asked first whether they answer.
#[derive(Args)]
struct Recover {
    #[command(flatten)]
    own: Own,
    /// The number of the cluster from now on, which keeps the old members away
    #[arg(long)]
    new_cluster: u64,
    /// All other members, by their numbers, separated by commas: they are lost or will be wiped
    #[arg(long, value_delimiter = ',', required = true)]
    give_up: Vec<u64>,
}

#[derive(Args)]
struct At {
    /// Servers to ask: `HOST:HTTP_PORT`, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "127.0.0.1:8001,127.0.0.1:8002,127.0.0.1:8003"
    )]
    at: Vec<String>,
    /// Seconds after which to give up
    #[arg(long, default_value_t = 10)]
    patience: u64,
}

impl At {
    fn client(self) -> Client {
        Client::new(self.at, Duration::from_secs(self.patience))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments.action)),
        Err(cause) => Err(cause.to_string()),
    };
    outcome.unwrap_or_else(|reason| {
        // Where not even that can be shown there is nothing left to do.
        writeln!(io::stderr(), "strata-kv: {reason}").ok();
        ExitCode::from(2)
    })
}

/// Shows a line.
fn say(line: impl std::fmt::Display) -> Result<(), String> {
    writeln!(io::stdout(), "{line}").map_err(|cause| cause.to_string())
}

fn shown(value: Option<String>) -> Result<ExitCode, String> {
    match value {
        Some(value) => say(value).map(|()| ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

async fn run(action: Action) -> Result<ExitCode, String> {
    let words = |cause: ClientError| cause.to_string();
    match action {
        Action::Serve(serve) => return self::serve(serve).await,
        Action::Recover(it) => {
            let lost = Lost {
                id: NodeId(it.own.id),
                dir: it.own.dir,
                peers: it.own.peers.into_iter().collect(),
                cluster: it.own.cluster,
                new_cluster: it.new_cluster,
                given_up: it.give_up.into_iter().map(NodeId).collect(),
            };
            let done = kv::recover(&lost).await.map_err(|cause| cause.to_string())?;
            say(done)?;
            say(format!("Start it with --cluster {} from now on.", lost.new_cluster))?;
        }
        Action::Get { at, lease, stale, key } => {
            let consistency = match (lease, stale) {
                (true, _) => Consistency::Lease,
                (_, true) => Consistency::Stale,
                (false, false) => Consistency::Linearizable,
            };
            return shown(at.client().get(&key, consistency).await.map_err(words)?);
        }
        Action::Put { at, key, value } => drop(at.client().put(&key, &value).await.map_err(words)?),
        Action::Delete { at, key } => drop(at.client().delete(&key).await.map_err(words)?),
        Action::Cas { at, key, expect, value } => {
            let mut client = at.client();
            let found = client.swap(&key, expect.as_deref(), Some(&value)).await.map_err(words)?;
            if found != expect {
                say(found.as_deref().unwrap_or("(none)"))?;
                return Ok(ExitCode::FAILURE);
            }
        }
        Action::Status { at } => return status(at).await,
        Action::Add { at, server: (id, address) } => {
            drop(at.client().add(id.0, &address).await.map_err(words)?);
        }
        Action::Change { at, add, remove } => {
            let add: Vec<_> = add.into_iter().map(|(id, address)| (id.0, address)).collect();
            drop(at.client().change(&add, &remove).await.map_err(words)?);
        }
        Action::Remove { at, id } => {
            let path = format!("/members/{id}");
            at.client().call("DELETE", &path, None).await.map_err(words)?;
        }
        Action::Transfer { at, id } => {
            let body = json!({ "to": id });
            at.client().call("POST", "/transfer", Some(&body)).await.map_err(words)?;
        }
        Action::Snapshot { at } => {
            let made = at.client().call("POST", "/snapshot", None).await.map_err(words)?;
            say(format!("up to entry {}", made["index"]))?;
        }
        Action::Backup { at, file } => {
            let taken = backup::file::take(&at.client(), &file).await;
            let taken = taken.map_err(|cause| cause.to_string())?;
            say(format!("{} keys, up to entry {}", taken.entries, taken.applied))?;
        }
        Action::Restore { at, replace, file } => {
            let done = backup::file::restore(&mut at.client(), &file, replace).await;
            say(format!("{} keys", done.map_err(|cause| cause.to_string())?.entries))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(serve: Serve) -> Result<ExitCode, String> {
    let settings = Settings {
        id: NodeId(serve.own.id),
        dir: serve.own.dir,
        peers: serve.own.peers.into_iter().collect(),
        listen_raft: serve.listen_raft,
        join: serve.join,
        witness: serve.witness,
        cluster: serve.own.cluster,
        tick: Duration::from_millis(serve.tick_ms),
        compact_bytes: serve.compact_mb << 20,
        keep_entries: serve.keep_entries,
    };
    let mut ended = signal(SignalKind::terminate()).map_err(|cause| cause.to_string())?;
    let until = async move {
        tokio::select! {
            _ = ended.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    if let Some(own) = settings.peers.get(&settings.id) {
        say(format!("server {}: http://{}/", settings.id, own.http()))?;
    }
    Server::serve(settings, until).await.map_err(|cause| cause.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn status(at: At) -> Result<ExitCode, String> {
    let all = at.client().call("GET", "/cluster", None).await.map_err(|it| it.to_string())?;
    say(format!(
        "{:>3} {:<24} {:<12} {:>6} {:>9} {:>9} {:>9} {:>9}",
        "id", "address", "role", "term", "snapshot", "applied", "commit", "last"
    ))?;
    for it in all.as_array().into_iter().flatten() {
        let text = |name: &str| it[name].as_str().unwrap_or("?").to_owned();
        let number = |name: &str| it[name].as_u64().map_or("?".to_owned(), |it| it.to_string());
        let line = if let Some(cause) = it["error"].as_str() {
            format!("down: {cause}")
        } else {
            let [term, snapshot, applied, commit, last] =
                ["term", "snapshot", "applied", "commit", "last"].map(number);
            let role = if it["member"] == false { "no member".to_owned() } else { text("role") };
            format!("{role:<12} {term:>6} {snapshot:>9} {applied:>9} {commit:>9} {last:>9}")
        };
        say(format!("{:>3} {:<24} {line}", number("id"), text("address")))?;
    }
    let leads = |it: &Value| it["role"] == "leader";
    let is_led = all.as_array().is_some_and(|all| all.iter().any(leads));
    Ok(if is_led { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
