//! Shows a record: a table for the terminal, a page, plots, a comparison with an earlier record.
//!
//! ```text
//!   bytes -- parse --> Record --+-- terminal --> text of 80 columns
//!                               +-- page     --> index.html, one file that fetches nothing
//!                               +-- plots    --> SVG files for a README
//!             earlier Record ---+-- baseline --> what became better or worse
//! ```
//!
//! Everything is a function from a record to text. Whatever is shown comes from the record, so
//! that a table, a page and a plot of one record cannot disagree, and a golden record tests all.
//!
//! # Modules, bottom up
//!
//! | module     | holds                                                             |
//! |------------|-------------------------------------------------------------------|
//! | `figure`   | numbers and names as short text                                   |
//! | `markup`   | escaping                                                          |
//! | `view`     | the record sorted into builds, lines, contenders, summaries       |
//! | `svg`      | a writer of SVG: canvas, scales, the look of both colour schemes  |
//! | `plots`    | ratios, throughput, latency, memory                               |
//! | `page`     | the page                                                          |
//! | `terminal` | the table                                                         |
//! | `baseline` | the comparison                                                    |
//! | `parse`    | the reader                                                        |
//!
//! # What this module does not do
//!
//! It opens no file, measures nothing, and draws no conclusion that an interval does not carry: a
//! ratio whose interval holds one is neither a win nor a loss.

#[cfg(feature = "duel")]
pub mod baseline;
pub mod page;
pub mod parse;
pub mod plots;
#[cfg(feature = "duel")]
pub mod terminal;

mod figure;
mod markup;
mod svg;
mod view;

#[cfg(all(test, feature = "duel"))]
mod tests;
