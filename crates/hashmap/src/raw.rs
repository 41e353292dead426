//! The kernels: tables, slots and the protocols that move them.

pub(crate) mod boxed;
mod hook;
pub(crate) mod inline;
