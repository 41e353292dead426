//! Tests of the checker, each able to fail in both directions.
//!
//! | module     | question                                                                       |
//! |------------|--------------------------------------------------------------------------------|
//! | `bad`      | is each classic error rejected, and its corrected sibling accepted?            |
//! | `generate` | histories that are right by construction, and mutations of them                |
//! | `random`   | does the checker agree with the definition on thousands of tiny histories?     |
//! | `explain`  | is the drawn window small, true and readable?                                  |
//! | `limits`   | is it quick on long histories, and does it stop on hopeless ones?              |
//! | `live`     | does it accept a real map under real threads, and catch a racy one?            |

mod bad;
mod brute_force;
mod explain;
mod generate;
mod limits;
mod live;
mod random;
mod spurious;
