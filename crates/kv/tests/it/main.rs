//! The program as its users have it: processes, ports, signals.

mod backup;
mod maelstrom;
mod members;
mod processes;
mod proxy;
mod snapshots;
