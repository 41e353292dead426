//! The kernels: tables, slots and the protocols that move them.
