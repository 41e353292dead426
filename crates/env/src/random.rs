//! Randomness. stub
