//! The kernels: tables, slots and the protocols that move them.

pub(crate) mod boxed;
pub(crate) mod hook;
pub(crate) mod inline;
