//! The state machine: a register, and for each client its last request and what came of it, so
//! that a request which arrives twice takes effect once.

use std::collections::BTreeMap;

use bytes::Bytes;
use harness::check::model::{Model, Register, RegisterOp, RegisterRet};

/// Which request of which client.
pub(super) type RequestId = (u32, u32);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    register: Register,
    sessions: BTreeMap<u32, (u32, RegisterRet)>,
}

impl Machine {
    pub(super) fn value(&self) -> RegisterRet {
        RegisterRet::Value(self.register.0)
    }

    /// Performs a command, once.
    pub(super) fn apply(&mut self, command: &[u8]) -> (RequestId, RegisterRet) {
        let word = |at: usize| {
            u64::from_le_bytes(command[8 * at..8 * at + 8].try_into().expect("eight bytes"))
        };
        let small = |at| u32::try_from(word(at)).expect("it was a u32");
        let (client, request) = (small(0), small(1));
        if let Some(&(last, ret)) = self.sessions.get(&client)
            && last >= request
        {
            return ((client, request), ret);
        }
        let op = match word(2) {
            0 => RegisterOp::Write(word(3)),
            _ => RegisterOp::CompareExchange { current: word(3), new: word(4) },
        };
        let ret = self.register.apply(&op);
        self.sessions.insert(client, (request, ret));
        ((client, request), ret)
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut words = vec![self.register.0];
        for (client, (request, ret)) in &self.sessions {
            let ret = match ret {
                RegisterRet::Written => 0,
                RegisterRet::Exchanged(is) => 1 + u64::from(*is),
                RegisterRet::Value(_) => unreachable!("reads are no commands"),
            };
            words.extend([u64::from(*client), u64::from(*request), ret]);
        }
        words.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    pub(super) fn decode(bytes: &[u8]) -> Self {
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
            .collect();
        let Some((value, sessions)) = words.split_first() else { return Self::default() };
        let small = |word: u64| u32::try_from(word).expect("it was a u32");
        let session = |words: &[u64]| {
            let ret = match words[2] {
                0 => RegisterRet::Written,
                ret => RegisterRet::Exchanged(ret == 2),
            };
            (small(words[0]), (small(words[1]), ret))
        };
        let sessions = sessions.chunks(3).map(session).collect();
        Self { register: Register(*value), sessions }
    }
}

/// A command for [`Machine::apply`].
pub(super) fn command(id: RequestId, op: RegisterOp) -> Bytes {
    let op = match op {
        RegisterOp::Write(value) => [0, value, 0],
        RegisterOp::CompareExchange { current, new } => [1, current, new],
        RegisterOp::Read => unreachable!("reads are no commands"),
    };
    let words = [u64::from(id.0), u64::from(id.1)].into_iter().chain(op);
    words.flat_map(u64::to_le_bytes).collect()
}
