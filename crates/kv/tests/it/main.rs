//! The program as its users have it: processes, ports, signals.

mod processes;
mod proxy;
