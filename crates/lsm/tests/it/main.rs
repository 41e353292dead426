//! The store as other programs meet it: through its public face, on the real file system.

mod golden;
mod killed;
mod memory;
