//! Where a server is: its host, the port for clients, the port for peers.

use std::fmt;
use std::str::FromStr;

use raft::NodeId;
use thiserror::Error;

/// Where a server is. Written `HOST:HTTP_PORT:RAFT_PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address.
    pub host: String,
    /// Clients come here.
    pub http_port: u16,
    /// Peers come here.
    pub raft_port: u16,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is no address: write {wanted}")]
pub struct AddressError {
    text: String,
    wanted: &'static str,
}

impl Address {
    /// For clients.
    pub fn http(&self) -> String {
        format!("{}:{}", self.host, self.http_port)
    }

    /// For peers.
    pub fn raft(&self) -> String {
        format!("{}:{}", self.host, self.raft_port)
    }

    /// Reads `ID=HOST:HTTP_PORT:RAFT_PORT`.
    pub fn parse_named(text: &str) -> Result<(NodeId, Self), AddressError> {
        let wanted = "ID=HOST:HTTP_PORT:RAFT_PORT, for example 1=127.0.0.1:8001:9001";
        let wrong = || AddressError { text: text.to_owned(), wanted };
        let (id, address) = text.split_once('=').ok_or_else(wrong)?;
        let id = id.parse().ok().filter(|id| *id > 0).ok_or_else(wrong)?;
        Ok((NodeId(id), address.parse().map_err(|_| wrong())?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.host, self.http_port, self.raft_port)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wanted = "HOST:HTTP_PORT:RAFT_PORT, for example 127.0.0.1:8001:9001";
        let wrong = || AddressError { text: text.to_owned(), wanted };
        let (rest, raft_port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (host, http_port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        // It stands in requests and redirects, where a line break would be another line.
        let is_name = |it: char| it.is_ascii_alphanumeric() || "-._:[]%".contains(it);
        if host.is_empty() || !host.chars().all(is_name) {
            return Err(wrong());
        }
        let (http_port, raft_port) = (port(http_port)?, port(raft_port)?);
        Ok(Self { host: host.to_owned(), http_port, raft_port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let (id, address) = Address::parse_named("3=host:80:90").expect("it is one");
        assert_eq!(id, NodeId(3));
        assert_eq!(address.to_string(), "host:80:90");
        assert_eq!((address.http(), address.raft()), ("host:80".into(), "host:90".into()));
        assert_eq!("[::1]:80:90".parse::<Address>().expect("it is one").host, "[::1]");
        for wrong in
            ["host:80", ":80:90", "host:80:99999", "", "host:x:1", "a\r\nx: y:80:90", "a b:80:90"]
        {
            let error = wrong.parse::<Address>().expect_err("it is none");
            assert!(error.to_string().contains("for example"), "{error}");
        }
        for wrong in ["host:80:90", "0=host:80:90", "x=host:80:90", "1=host"] {
            assert!(Address::parse_named(wrong).is_err(), "{wrong}");
        }
    }
}
