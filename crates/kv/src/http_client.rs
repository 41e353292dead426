//! One request over HTTP/1.1, for the command line and between servers.
//!
//! # What this module does not do
//!
//! It keeps no connection, follows no redirect, and reads no body but JSON of limited length.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of an answer.
const ANSWER_MAX: u64 = 64 << 20;

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Null` where the body is none or no JSON.
    pub(crate) body: Value,
    /// Where to ask instead.
    pub(crate) location: Option<String>,
}

/// Sends a request to `address` (`host:port`) and reads the answer, all within `patience`.
pub(crate) async fn request(
    address: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
    patience: Duration,
) -> io::Result<Reply> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
        parse(&answer).ok_or_else(|| io::Error::other("the answer is not one of HTTP/1.1"))
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "there was no answer in time");
    timeout(patience, exchange).await.map_err(late)?
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let field = |wanted: &str| {
        let named = head.split("\r\n").filter_map(|line| line.split_once(": "));
        let mut of_name = named.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        of_name.next().map(|(_, value)| value.to_owned())
    };
    let body = &answer[end + 4..];
    if field("content-length").is_some_and(|len| len.parse() != Ok(body.len())) {
        // It was cut short.
        return None;
    }
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    Some(Reply { status, body, location: field("location") })
}

/// Text as a part of a path.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes everything");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_cut_ones_are_not() {
        let whole = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://a:1/x\r\n\
                      content-length: 8\r\n\r\n{\"a\": 1}";
        let reply = parse(whole).expect("it is whole");
        assert_eq!((reply.status, &reply.body["a"]), (307, &Value::from(1)));
        assert_eq!(reply.location.as_deref(), Some("http://a:1/x"));
        assert!(parse(&whole[..whole.len() - 1]).is_none());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert_eq!(escape("a b/\u{e4}~"), "a%20b%2F%C3%A4~");
    }

    #[test]
    fn mutated_answers_are_read_or_refused() {
        use env::random::{Random, SeededRandom};
        let whole = b"HTTP/1.1 200 OK\r\nLocation: http://a:1/x\r\ncontent-length: 8\r\n\r\n\
                      {\"a\": 1}";
        let mut random = SeededRandom::new(3);
        let mut read = 0;
        for _ in 0..20_000 {
            let mut bytes = whole.to_vec();
            for _ in 0..=random.below(3) {
                let at = usize::try_from(random.below(bytes.len() as u64)).expect("small");
                bytes[at] = random.next_u64().to_le_bytes()[0];
            }
            bytes.truncate(usize::try_from(random.below(100)).expect("small").max(1));
            read += u32::from(parse(&bytes).is_some());
        }
        assert!(read > 0, "some are whole");
    }
}
