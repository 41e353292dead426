use super::*;
use crate::check::model::{Register, RegisterOp::*, RegisterRet::*};

#[test]
fn smoke() {
    let history = History::from_operations([
        Operation::done(0, 0..1, Write(1), Written),
        Operation::done(0, 2..3, Write(2), Written),
        Operation::done(1, 4..7, Read, Value(1)),
        Operation::done(2, 5..6, Read, Value(2)),
    ]);
    println!("{history}");
    println!("{}", check(&Register::default(), &history));
}
