//! One shared cell: the smallest object that can be wrong.

use super::Model;

/// A cell that holds one number, at first zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Register(pub u64);

/// What can be asked of a [`Register`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Answers the value.
    Read,
    /// Sets the value.
    Write(u64),
    /// Sets the value to `new` where it is `current`, and answers whether it was.
    CompareExchange {
        /// The value that the caller believes in.
        current: u64,
        /// The value that it wants.
        new: u64,
    },
}

/// What a [`Register`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterRet {
    /// Of `Read`.
    Value(u64),
    /// Of `Write`.
    Written,
    /// Of `CompareExchange`: whether the value was the expected one and is now the new one.
    Exchanged(bool),
}

impl Model for Register {
    type Op = RegisterOp;
    type Ret = RegisterRet;
    type Key = ();

    fn key(_op: &RegisterOp) {}

    fn apply(&mut self, op: &RegisterOp) -> RegisterRet {
        match *op {
            RegisterOp::Read => RegisterRet::Value(self.0),
            RegisterOp::Write(value) => {
                self.0 = value;
                RegisterRet::Written
            }
            RegisterOp::CompareExchange { current, new } => {
                let expected = self.0 == current;
                if expected {
                    self.0 = new;
                }
                RegisterRet::Exchanged(expected)
            }
        }
    }

    fn is_observation(_op: &RegisterOp, ret: &RegisterRet) -> bool {
        matches!(ret, RegisterRet::Value(_) | RegisterRet::Exchanged(false))
    }
}
