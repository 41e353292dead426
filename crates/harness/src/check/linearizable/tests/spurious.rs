//! A specification that is no function: a compare-exchange that may fail for no reason, and a write
//! that may be dropped.

use crate::check::model::{Model, Register, RegisterOp, RegisterRet, Specification};

/// A register as a lossy device offers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SpuriousRegister(Register);

impl Specification for SpuriousRegister {
    type Op = RegisterOp;
    type Ret = RegisterRet;
    type Key = ();

    fn key(_op: &RegisterOp) {}

    fn successors(&self, op: &RegisterOp, ret: Option<&RegisterRet>, next: &mut Vec<Self>) {
        let mut register = self.0;
        let answer = register.apply(op);
        if ret.is_none_or(|ret| *ret == answer) {
            next.push(Self(register));
        }
        let may_do_nothing = match op {
            RegisterOp::Read => false,
            RegisterOp::Write(_) => true,
            RegisterOp::CompareExchange { .. } => {
                ret.is_none_or(|ret| *ret == RegisterRet::Exchanged(false))
            }
        };
        if may_do_nothing {
            next.push(self.clone());
        }
    }

    fn is_observation(_op: &RegisterOp, ret: &RegisterRet) -> bool {
        matches!(ret, RegisterRet::Value(_) | RegisterRet::Exchanged(false))
    }
}
