//! stub
pub mod suite;
