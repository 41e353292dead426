//! One request over HTTP/1.1, for the command line and between servers.
//!
//! # What this module does not do
//!
//! It keeps no connection, follows no redirect, and reads no body but JSON of limited length, or
//! bytes as they come.

use std::borrow::Cow;
use std::fmt::Write;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes of an answer.
const ANSWER_MAX: u64 = 64 << 20;

/// Most bytes of the head of a download.
const HEAD_MAX: usize = 16 << 10;

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// `Null` where the body is none or no JSON.
    pub(crate) body: Value,
    /// Where to ask instead.
    pub(crate) location: Option<String>,
}

/// What a request sends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    Nothing,
    Json(&'a Value),
    Bytes(&'a [u8]),
}

impl<'a> From<Option<&'a Value>> for Content<'a> {
    fn from(body: Option<&'a Value>) -> Self {
        body.map_or(Self::Nothing, Self::Json)
    }
}

/// Sends a request to `address` (`host:port`) and reads the answer, all within `patience`.
pub(crate) async fn request(
    address: &str,
    method: &str,
    path: &str,
    content: Content<'_>,
    patience: Duration,
) -> io::Result<Reply> {
    in_time(patience, async {
        let mut stream = TcpStream::connect(address).await?;
        let (kind, body) = match content {
            Content::Nothing => ("application/json", Cow::default()),
            Content::Json(body) => ("application/json", Cow::from(body.to_string().into_bytes())),
            Content::Bytes(body) => ("application/octet-stream", Cow::from(body)),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
        parse(&answer).ok_or_else(no_answer)
    })
    .await
}

fn no_answer() -> io::Error {
    io::Error::other("the answer is not one of HTTP/1.1")
}

async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "there was no answer in time");
    timeout(patience, work).await.map_err(late)?
}

/// Bytes that a server sends, up to the end of the connection.
#[derive(Debug)]
pub(crate) struct Download {
    stream: BufReader<TcpStream>,
    patience: Duration,
}

/// Asks for bytes of any length. What is no 200 is an error with the server's words.
pub(crate) async fn download(
    address: &str,
    path: &str,
    patience: Duration,
) -> io::Result<Download> {
    in_time(patience, async {
        let mut stream = TcpStream::connect(address).await?;
        // One of HTTP/1.0 is answered without chunks.
        let head = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let (mut stream, mut head) = (BufReader::new(stream), Vec::new());
        while !head.ends_with(END) {
            // Byte by byte, so that what follows is left.
            head.push(stream.read_u8().await?);
            if head.len() > HEAD_MAX {
                return Err(no_answer());
            }
        }
        if status_of(&head) == Some(200) {
            return Ok(Download { stream, patience });
        }
        stream.take(ANSWER_MAX).read_to_end(&mut head).await?;
        let reply = parse(&head).ok_or_else(no_answer)?;
        Err(io::Error::other(reply.body["error"].as_str().unwrap_or("no reason given")))
    })
    .await
}

impl Download {
    /// The bytes that come next; 0 of them at the end, wherever that is.
    pub(crate) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        in_time(self.patience, self.stream.read(into)).await
    }
}

/// What a head ends with.
const END: &[u8] = b"\r\n\r\n";

fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.get(..12)?;
    let code = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

fn parse(answer: &[u8]) -> Option<Reply> {
    let status = status_of(answer)?;
    let end = answer.windows(END.len()).position(|it| it == END)?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
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
