//! Three clients with one quota each, on a clock that the example moves.
//!
//! ```text
//! cargo run -p rate-limiter --example clients
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::time::Duration;

use rate_limiter::{Clock, Decision, KeyedLimiter, ManualClock, Quota};

/// Milliseconds between two rows of the table.
const STEP: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    // Five requests a second, two at once: a request every 200 ms once the burst is spent.
    let quota = Quota::per_second(5)?.with_burst(2)?;
    let limiter = KeyedLimiter::builder(quota, 1_000).clock(ManualClock::default()).build()?;
    let clients = [("eager", 3), ("steady", 1), ("rare", 0)];

    println!("{:>8}  {:<34}{:<34}", "time", "eager asks 3 times", "steady asks once");
    for step in 0..8 {
        let now = STEP * step;
        print!("{:>5} ms  ", now.as_millis());
        for (client, requests) in clients {
            let said: Vec<String> = (0..requests).map(|_| show(limiter.check(client))).collect();
            print!("{:<34}", said.join(", "));
        }
        println!();
        limiter.clock().sleep(STEP);
    }
    // A client that has never asked has its whole burst, and so has one that has waited.
    println!("    rare asks for 2 cells: {}", show(limiter.check_n("rare", 2)));
    println!("    rare asks for 3 cells: {}", show(limiter.check_n("rare", 3)));
    println!("{:?}", limiter.stats());
    Ok(())
}

fn show(decision: Decision) -> String {
    match decision {
        Decision::Admitted => "yes".to_owned(),
        Decision::Denied(denial) => format!("in {} ms", denial.retry_after().as_millis()),
        Decision::Impossible { burst } => format!("never, the burst is {burst}"),
    }
}
