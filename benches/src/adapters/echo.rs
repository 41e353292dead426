//! An axum service that echoes a body, and the layers that limit it.

use std::time::Duration;

use ::governor::middleware::StateInformationMiddleware;
use ::rate_limiter::http::{ClientIp, RateLimitLayer};
use ::rate_limiter::{KeyedLimiter, Quota};
use axum::Router;
use axum::body::Bytes;
use axum::error_handling::HandleErrorLayer;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, post};
use harness::contract::Unsupported;
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::PeerIpKeyExtractor;

/// Cells a second, and at once: every request is admitted, so that all services do the same work.
const CELLS: u32 = 1_000_000_000;

/// Requests that may wait for the task that owns tower's limit.
const WAITING: usize = 1_024;

/// A service that echoes, behind a layer of some kind. Made and called within a runtime.
pub trait Echo: Send + 'static {
    /// Stable name: the package name of the layer.
    const NAME: &'static str;

    /// The service, or why it cannot be had.
    fn service() -> Result<Router, Unsupported>;
}

/// What answers with the body of a request.
pub fn echo() -> MethodRouter {
    post(|body: Bytes| async { body })
}

/// That, where the root of a server is.
fn root() -> Router {
    Router::new().route("/", echo())
}

/// No layer: what the others add their cost to.
#[derive(Debug)]
pub struct Plain;

impl Echo for Plain {
    const NAME: &'static str = "floor";

    fn service() -> Result<Router, Unsupported> {
        Ok(root())
    }
}

/// Our layer: a bucket for each client, and the fields that tell its state.
#[derive(Debug)]
pub struct Ours;

impl Echo for Ours {
    const NAME: &'static str = "rate-limiter";

    fn service() -> Result<Router, Unsupported> {
        let quota = Quota::per_second(CELLS.into());
        let quota = quota.map_err(|error| Unsupported(error.to_string()))?;
        let limiter = KeyedLimiter::new(quota, 100_000);
        let limiter = limiter.map_err(|error| Unsupported(error.to_string()))?;
        Ok(root().layer(RateLimitLayer::new(limiter, ClientIp::direct())))
    }
}

/// governor's layer: a bucket for each client, and the fields that tell its state.
#[derive(Debug)]
pub struct TowerGovernor;

impl Echo for TowerGovernor {
    const NAME: &'static str = "tower_governor";

    fn service() -> Result<Router, Unsupported> {
        let config = GovernorConfigBuilder::default()
            .per_nanosecond(1)
            .burst_size(CELLS)
            .use_headers()
            .finish()
            .ok_or_else(|| Unsupported("a quota of nothing".to_owned()))?;
        let layer: GovernorLayer<PeerIpKeyExtractor, StateInformationMiddleware, _> =
            GovernorLayer::new(config);
        Ok(root().layer(layer))
    }
}

/// tower's limit: one bucket for all, owned by a task that requests wait for, since a clone of the
/// service would have a limit of its own.
#[derive(Debug)]
pub struct TowerLimit;

impl Echo for TowerLimit {
    const NAME: &'static str = "tower";

    fn service() -> Result<Router, Unsupported> {
        let failed = HandleErrorLayer::new(async |_| StatusCode::INTERNAL_SERVER_ERROR);
        let limit = tower::limit::RateLimitLayer::new(CELLS.into(), Duration::from_secs(1));
        let layers = ServiceBuilder::new().layer(failed).layer(BufferLayer::new(WAITING));
        Ok(root().layer(layers.layer(limit)))
    }
}
