//! A client that finds the leader, tries again, and writes exactly once.
//!
//! Every write goes through a session: whatever becomes of a request, the same one may be sent
//! again, to any server, until there is an answer.
//!
//! # What this module does not do
//!
//! It has one request at a time, and asks the servers one after the other.

use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{sleep, timeout};

use crate::Address;
use crate::http_client::{Content, Reply, escape, request};

/// How long one server is given.
const PATIENCE: Duration = Duration::from_secs(3);

/// The wait before all are tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// What a read is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// The value as of some moment during the call: a majority confirms it.
    Linearizable,
    /// The same, as long as clocks run at about one speed: the leader relies on a lease, and asks
    /// nobody (`raft::ReadMode::Lease`).
    Lease,
    /// What the first server that answers has; it may be behind.
    Stale,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The request makes no sense to the server.
    #[error("{reason}")]
    Refused {
        /// In the words of the server.
        reason: String,
    },
    /// Nobody answered for so long.
    #[error("no server answered within {} s ({last}); a write may be done or not", after.as_secs())]
    TimedOut {
        /// For how long it was tried.
        after: Duration,
        /// What came last.
        last: String,
    },
}

/// A client of a cluster.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where servers take requests, `host:port`; the first one is asked first.
    servers: Vec<String>,
    patience: Duration,
    session: Option<u64>,
    sequence: u64,
}

impl Client {
    /// A client of the servers at these addresses (`host:port`), which gives up after `patience`.
    ///
    /// Panics where there is none.
    pub fn new(servers: Vec<String>, patience: Duration) -> Self {
        assert!(!servers.is_empty(), "a client needs a server");
        Self { servers, patience, session: None, sequence: 0 }
    }

    /// The value of a key.
    pub async fn get(
        &mut self,
        key: &str,
        consistency: Consistency,
    ) -> Result<Option<String>, ClientError> {
        let how = match consistency {
            Consistency::Linearizable => "",
            Consistency::Lease => "?lease",
            Consistency::Stale => "?stale",
        };
        let answer = self.call("GET", &format!("/kv/{}{how}", escape(key)), None).await?;
        Ok(text(&answer["value"]))
    }

    /// Sets a value; returns the former one.
    pub async fn put(&mut self, key: &str, value: &str) -> Result<Option<String>, ClientError> {
        let body = json!({ "value": value });
        let answer = self.write("PUT", &format!("/kv/{}", escape(key)), body).await?;
        Ok(text(&answer["previous"]))
    }

    /// Takes a key away; returns its value.
    pub async fn delete(&mut self, key: &str) -> Result<Option<String>, ClientError> {
        let answer = self.write("DELETE", &format!("/kv/{}", escape(key)), json!({})).await?;
        Ok(text(&answer["previous"]))
    }

    /// Sets a value, or takes the key away, where it has the expected value, or none; returns what
    /// it had.
    pub async fn swap(
        &mut self,
        key: &str,
        expected: Option<&str>,
        value: Option<&str>,
    ) -> Result<Option<String>, ClientError> {
        let body = json!({ "expected": expected, "value": value });
        let answer = self.write("POST", &format!("/cas/{}", escape(key)), body).await?;
        Ok(text(&answer["previous"]))
    }

    /// Where it asks.
    pub(crate) fn servers(&self) -> &[String] {
        &self.servers
    }

    /// After how long it gives up.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// A write that is done once.
    pub(crate) async fn write(
        &mut self,
        method: &str,
        path: &str,
        mut body: Value,
    ) -> Result<Value, ClientError> {
        let session = if let Some(session) = self.session {
            session
        } else {
            let answer = self.call("POST", "/session", None).await?;
            self.sequence = 0;
            *self.session.insert(answer["session"].as_u64().unwrap_or_default())
        };
        self.sequence += 1;
        body["session"] = session.into();
        body["sequence"] = self.sequence.into();
        let outcome = self.call(method, path, Some(&body)).await;
        if outcome.is_err() {
            // What became of it is not known, so that its number cannot be used again.
            self.session = None;
        }
        outcome
    }

    /// Sends a request until a server answers it, going where it is sent.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        self.send(method, path, body.into()).await
    }

    /// As [`Client::call`], with content of any kind.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        content: Content<'_>,
    ) -> Result<Value, ClientError> {
        let (mut last, patience) = (String::new(), self.patience);
        let tried = async {
            loop {
                for at in 0..self.servers.len() {
                    let server = self.servers[at].clone();
                    match self.ask(&server, method, path, content).await {
                        Asked::Done(answer) => {
                            // Whoever answered is asked first next time.
                            self.servers.swap(0, at);
                            return answer;
                        }
                        Asked::Elsewhere(reason) => last = reason,
                    }
                }
                sleep(PAUSE).await;
            }
        };
        match timeout(patience, tried).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::TimedOut { after: patience, last }),
        }
    }

    /// Asks one server, and whom it names.
    async fn ask(&self, server: &str, method: &str, path: &str, content: Content<'_>) -> Asked {
        let mut server = server.to_owned();
        for _ in 0..3 {
            match request(&server, method, path, content, PATIENCE).await {
                Err(cause) => return Asked::Elsewhere(format!("{server}: {cause}")),
                Ok(Reply { status: 200, body, .. }) => return Asked::Done(Ok(body)),
                Ok(Reply { status: 307, location: Some(location), .. }) => {
                    let rest = location.strip_prefix("http://").unwrap_or(&location);
                    rest.split('/').next().unwrap_or(rest).clone_into(&mut server);
                }
                Ok(Reply { status, body, .. }) => {
                    let reason = body["error"].as_str().unwrap_or("no reason given").to_owned();
                    let is_final = [400, 404, 405, 409, 410, 413, 415, 422].contains(&status);
                    if is_final {
                        return Asked::Done(Err(ClientError::Refused { reason }));
                    }
                    return Asked::Elsewhere(format!("{server}: {reason}"));
                }
            }
        }
        Asked::Elsewhere("servers name each other as the leader".to_owned())
    }

    /// Adds a server that was started to join, once it answers.
    pub async fn add(&mut self, id: u64, address: &Address) -> Result<Value, ClientError> {
        let member = self.newcomer(id, address).await?;
        self.call("POST", "/members", Some(&member)).await
    }

    /// Adds servers, as [`Client::add`] does, and removes others, all at once: a majority of the
    /// old members and one of the new ones decide until that is done.
    pub async fn change(
        &mut self,
        add: &[(u64, Address)],
        remove: &[u64],
    ) -> Result<Value, ClientError> {
        let mut newcomers = Vec::new();
        for (id, address) in add {
            newcomers.push(self.newcomer(*id, address).await?);
        }
        let body = json!({ "add": newcomers, "remove": remove });
        self.call("POST", "/change", Some(&body)).await
    }

    /// What is to be known of a server to add it.
    async fn newcomer(&self, id: u64, address: &Address) -> Result<Value, ClientError> {
        let mut newcomer = Self::new(vec![address.http()], self.patience);
        let status = newcomer.call("GET", "/status", None).await?;
        if status["id"].as_u64() != Some(id) {
            let reason = format!("server {} is at {address}, not {id}", status["id"]);
            return Err(ClientError::Refused { reason });
        }
        let incarnation = status["incarnation"].as_str();
        Ok(json!({ "id": id, "address": address.to_string(), "incarnation": incarnation }))
    }
}

/// What came of asking one server.
enum Asked {
    Done(Result<Value, ClientError>),
    Elsewhere(String),
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
