//! `CL.THROTTLE`: a bucket for each key in Redis, shared by all who ask it.
//!
//! The command is that of the module redis-cell, spoken over any stream in RESP2:
//!
//! ```text
//!   *6 $11 CL.THROTTLE $.. key $.. burst - 1 $.. cells $.. period in seconds $.. cost
//!
//!   *5 :0      1 where the request is denied
//!      :16     burst
//!      :15     cells left
//!      :-1     seconds until it would be admitted
//!      :2      seconds until the bucket is full
//! ```
//!
//! # What this module does not do
//!
//! It pools no connections and does not connect again: a connection that has failed must be
//! dropped, since what is still in it belongs to an earlier request. How exact the bucket is, is up
//! to the server.
//!
//! # Tests
//!
//! They run against a server of their own, which keeps its buckets with this crate, and against the
//! redis-server of the machine, where there is one: without the module it refuses, and with the one
//! that the environment variable `REDIS_CELL` names it decides as this crate does.
//!
//! ```text
//! REDIS_CELL=/usr/lib/libredis_cell.so cargo test -p rate-limiter a_real_server
//! ```

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::quota::{BURST_MAX, CELLS_MAX, Quota};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The connection failed. Drop it, connect anew, and ask again if the request may count twice.
    #[error("the connection to the server failed: {0}")]
    Io(#[from] io::Error),
    /// The server refused the command, as one without the module does. The connection is good.
    #[error("the server refused the command: {0}")]
    Refused(String),
    /// The server answered something else. Drop the connection.
    #[error("the server answered no five numbers to `CL.THROTTLE`; is it speaking RESP2?")]
    Protocol,
    /// The quota cannot be said in this command.
    #[error("the command counts periods in whole seconds; use a quota with such a period")]
    Quota,
}

/// What the server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// Whether the cells were taken.
    pub admitted: bool,
    /// Cells that a full bucket holds.
    pub burst: u64,
    /// Cells left.
    pub remaining: u64,
    /// When a denied request would be admitted; `None` where it was not denied, or never would be.
    pub retry_after: Option<Duration>,
    /// When the bucket is full.
    pub full_after: Duration,
}

/// A connection to a server that knows `CL.THROTTLE`.
#[derive(Debug)]
pub struct RedisLimiter<S> {
    stream: S,
    quota: [String; 3],
    buffer: Vec<u8>,
}

// The server's numbers have 63 bits, which hold whatever a quota may be.
const _: () = assert!(BURST_MAX <= i64::MAX as u64 && CELLS_MAX <= i64::MAX as u64);

/// Longest line of an answer, a refusal's text included.
const LINE_MAX: usize = 4_096;

impl<S: Read + Write> RedisLimiter<S> {
    /// Keeps `quota` for each key over `stream`, on which nothing is under way.
    pub fn new(stream: S, quota: &Quota) -> Result<Self, RedisError> {
        let period = quota.period();
        if period.subsec_nanos() != 0 {
            return Err(RedisError::Quota);
        }
        let words = [quota.burst() - 1, quota.cells(), period.as_secs()];
        Ok(Self { stream, quota: words.map(|word| word.to_string()), buffer: Vec::new() })
    }

    /// Takes `cells` cells from the bucket of `key`, all or none.
    pub fn check_n(&mut self, key: &[u8], cells: u64) -> Result<Throttled, RedisError> {
        let cells = cells.to_string();
        let [burst, rate, period] = &self.quota;
        let words: [&[u8]; 6] = [
            b"CL.THROTTLE",
            key,
            burst.as_bytes(),
            rate.as_bytes(),
            period.as_bytes(),
            cells.as_bytes(),
        ];
        self.buffer.clear();
        encode(&words, &mut self.buffer);
        self.stream.write_all(&self.buffer)?;
        self.stream.flush()?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Throttled, RedisError> {
        match self.line()?.as_bytes() {
            b"*5" => {}
            [b'-', text @ ..] => {
                return Err(RedisError::Refused(String::from_utf8_lossy(text).into_owned()));
            }
            _ => return Err(RedisError::Protocol),
        }
        let mut numbers = [0_i64; 5];
        for number in &mut numbers {
            let line = self.line()?;
            let digits = line.strip_prefix(':').ok_or(RedisError::Protocol)?;
            *number = digits.parse().map_err(|_| RedisError::Protocol)?;
        }
        let [limited, burst, remaining, retry_after, full_after] = numbers;
        let count = |number: i64| u64::try_from(number).map_err(|_| RedisError::Protocol);
        Ok(Throttled {
            admitted: limited == 0,
            burst: count(burst)?,
            remaining: count(remaining)?,
            retry_after: u64::try_from(retry_after).ok().map(Duration::from_secs),
            full_after: Duration::from_secs(count(full_after)?),
        })
    }

    /// A line without its end. Byte by byte: the answer is forty bytes, and what follows it belongs
    /// to nobody; wrap the stream if system calls matter.
    fn line(&mut self) -> Result<String, RedisError> {
        self.buffer.clear();
        while !self.buffer.ends_with(b"\r\n") {
            if self.buffer.len() >= LINE_MAX {
                return Err(RedisError::Protocol);
            }
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            self.buffer.push(byte[0]);
        }
        let line = &self.buffer[..self.buffer.len() - 2];
        Ok(String::from_utf8_lossy(line).into_owned())
    }
}

/// A command as an array of strings.
fn encode(words: &[&[u8]], into: &mut Vec<u8>) {
    into.extend(format!("*{}\r\n", words.len()).bytes());
    for word in words {
        into.extend(format!("${}\r\n", word.len()).bytes());
        into.extend_from_slice(word);
        into.extend(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
