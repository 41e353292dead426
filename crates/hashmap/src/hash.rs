//! The default hasher.
//!
//! foldhash in its *quality* form: seeded for each process and each map, a few instructions for a
//! word, and all bits of the result are as good as each other, of which a map takes some to choose
//! a bin and others to tell entries apart. Its *fast* form leaves weak bits to the table.
//!
//! # What this module does not do
//!
//! foldhash resists an attacker who cannot see hashes or measure many operations; it is not a
//! cryptographic function. Where that is not enough, give the map `std::hash::RandomState`
//! (`SipHash`). Colliding keys cost time only: a search through as many entries as collide.

pub use foldhash::quality::RandomState;
