//! The program as its users have it: processes, ports, signals.

mod maelstrom;
mod processes;
mod proxy;
mod snapshots;
