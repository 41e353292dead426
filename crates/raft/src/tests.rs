//! The protocol judged as a whole: by traces to be read, and by clusters in a simulated world.

mod cluster;
mod lab;
mod mutants;
mod quiescence;
mod reads;
mod scripts;
mod simulation;
mod strangers;
mod trace;
