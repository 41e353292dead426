//! Whose request it is.
//!
//! # Addresses that can be believed
//!
//! Each proxy appends the address that it was called from to `X-Forwarded-For`. What a client puts
//! there itself stands on the left. So only the entries that our own proxies wrote say the truth,
//! and those are the last ones; with two proxies of ours:
//!
//! ```text
//!   X-Forwarded-For: made-up, made-up, client, first proxy        peer: second proxy
//!                                      ^ two from the right
//! ```
//!
//! Whoever takes the leftmost lets a client choose its key, and so its limit.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[cfg(feature = "axum")]
use axum::extract::ConnectInfo;
use http::{Extensions, HeaderName, Request};

/// Finds the key of a request.
pub trait KeyExtractor {
    /// What requests are told apart by.
    type Key: Hash;

    /// The key; `None` for the bucket that all requests without one share.
    fn key<B>(&self, request: &Request<B>) -> Option<Self::Key>;
}

/// All requests share a bucket.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneForAll;

impl KeyExtractor for OneForAll {
    type Key = ();

    fn key<B>(&self, _: &Request<B>) -> Option<()> {
        None
    }
}

/// The value of a header, such as that of an API key that was checked before.
#[derive(Clone, Debug)]
pub struct HeaderKey(pub HeaderName);

impl KeyExtractor for HeaderKey {
    type Key = Vec<u8>;

    fn key<B>(&self, request: &Request<B>) -> Option<Vec<u8>> {
        request.headers().get(&self.0).map(|value| value.as_bytes().to_vec())
    }
}

/// The address that a connection comes from, which the server puts into a request's extensions.
/// With the feature `axum` its `ConnectInfo<SocketAddr>` does as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The network of a client: an IPv4 address, or the first 64 bits of an IPv6 one, all of which one
/// customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientNet {
    /// One address.
    V4(Ipv4Addr),
    /// A /64.
    V6([u16; 4]),
}

impl From<IpAddr> for ClientNet {
    /// An IPv4 address in IPv6 clothes is the IPv4 address.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The network of the client, as far as it can be believed.
#[derive(Clone, Copy, Debug)]
pub struct ClientIp {
    proxies: usize,
}

impl ClientIp {
    /// Clients connect to the server itself: [`PeerAddr`] alone counts.
    pub const fn direct() -> Self {
        Self { proxies: 0 }
    }

    /// Every request passes through `proxies` proxies of ours.
    ///
    /// A request whose `X-Forwarded-For` has fewer entries, or no address in that place, did not,
    /// and is known by its [`PeerAddr`].
    pub const fn behind(proxies: usize) -> Self {
        Self { proxies }
    }

    fn forwarded<B>(self, request: &Request<B>) -> Option<IpAddr> {
        let back = self.proxies.checked_sub(1)?;
        let lines = request.headers().get_all("x-forwarded-for");
        // Several lines are one list, in order. The bytes may be anything.
        let mut from_the_right =
            lines.iter().rev().flat_map(|it| it.as_bytes().rsplit(|&b| b == b','));
        let entry = std::str::from_utf8(from_the_right.nth(back)?).ok()?.trim();
        address(entry)
    }
}

/// The address that the connection comes from, in whose words it may be said.
fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    let known = extensions.get().map(|&PeerAddr(peer)| peer);
    #[cfg(feature = "axum")]
    let known = known.or_else(|| extensions.get().map(|&ConnectInfo(peer)| peer));
    known
}

/// An address with or without a port; IPv6 with a port stands in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let with_port = || entry.parse().ok().map(|socket: SocketAddr| socket.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    entry.parse().ok().or_else(with_port).or_else(bracketed)
}

impl KeyExtractor for ClientIp {
    type Key = ClientNet;

    fn key<B>(&self, request: &Request<B>) -> Option<ClientNet> {
        let peer = || peer(request.extensions()).map(|peer| peer.ip());
        self.forwarded(request).or_else(peer).map(ClientNet::from)
    }
}
