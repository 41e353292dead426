//! An axum server that keeps a quota for each client address.
//!
//! ```text
//! cargo run --release -p rate-limiter --features axum --example server -- 127.0.0.1:8080 20 5
//! ```
//!
//! The arguments are the address to listen on, requests a second, and how many may come at once.
//! The example `load` asks it from several addresses of the loopback network.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what happens")]

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Parser;
use rate_limiter::http::{ClientIp, Fields, RateLimitLayer};
use rate_limiter::{Decision, KeyedLimiter, Quota};
use tokio::net::TcpListener;
use tokio::time::interval;

/// Clients that are remembered at once.
const CLIENTS: usize = 100_000;

/// How often the server says what it did.
const REPORT: Duration = Duration::from_secs(5);

/// What was decided since the start.
#[derive(Debug, Default)]
struct Counts {
    admitted: AtomicU64,
    denied: AtomicU64,
}

impl Counts {
    fn count(&self, decision: &Decision) {
        let counter = if decision.is_admitted() { &self.admitted } else { &self.denied };
        // Relaxed: a count.
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn report(counts: Arc<Counts>) {
    let mut ticks = interval(REPORT);
    let mut before = (0, 0);
    loop {
        ticks.tick().await;
        // Relaxed, both: counts, each for itself.
        let admitted = counts.admitted.load(Ordering::Relaxed);
        let denied = counts.denied.load(Ordering::Relaxed);
        if (admitted, denied) != before {
            println!("{admitted} admitted, {denied} denied");
        }
        before = (admitted, denied);
    }
}

/// An HTTP server that keeps a quota for each client address.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(default_value = "127.0.0.1:8080")]
    address: SocketAddr,
    /// Requests a second of each client.
    #[arg(default_value_t = 20)]
    rate: u64,
    /// How many of them may come at once.
    #[arg(default_value_t = 5)]
    burst: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(Arguments { address, rate, burst }: Arguments) -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_second(rate)?.with_burst(burst)?;
    let counts = Arc::new(Counts::default());
    let counter = Arc::clone(&counts);
    // Behind a proxy of ours it would be `ClientIp::behind(1)`.
    let layer = RateLimitLayer::new(KeyedLimiter::new(quota, CLIENTS)?, ClientIp::direct())
        .fields(Fields::Both)
        .on_decision(move |decision| counter.count(decision));
    let app = Router::new().route("/", get(|| async { "hello\n" })).layer(layer);

    let listener =
        TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("{rate} a second and {burst} at once for each client of {}", listener.local_addr()?);
    tokio::spawn(report(counts));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
