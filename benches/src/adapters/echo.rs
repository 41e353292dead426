//! A service that echoes a body, and the layers that limit it.

use std::convert::Infallible;
use std::time::Duration;

use ::governor::middleware::StateInformationMiddleware;
use ::rate_limiter::http::{ClientIp, RateLimitLayer};
use ::rate_limiter::{KeyedLimiter, Quota};
use axum::body::{Body, to_bytes};
use axum::error_handling::HandleErrorLayer;
use axum::http::{Request, Response, StatusCode};
use harness::contract::Unsupported;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceBuilder, service_fn};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::PeerIpKeyExtractor;

/// Cells a second, and at once: every request is admitted, so that all services do the same work.
const CELLS: u32 = 1_000_000_000;

/// Requests that may wait for the task that owns tower's limit.
const WAITING: usize = 1_024;

/// Bytes of the largest body that is echoed.
const BODY_MAX: usize = 1 << 16;

type Asked = Request<Body>;
type Answer = Response<Body>;

/// A service of any kind.
pub type Echoing = BoxCloneSyncService<Asked, Answer, Infallible>;

/// A service that echoes, behind a layer of some kind. Made and called within a runtime.
pub trait Echo: Send + 'static {
    /// Stable name: the package name of the layer.
    const NAME: &'static str;

    /// The service, or why it cannot be had.
    fn service() -> Result<Echoing, Unsupported>;
}

/// What answers with the body of a request, behind no layer.
pub fn echo() -> Echoing {
    BoxCloneSyncService::new(bare())
}

fn bare()
-> impl Service<Asked, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + Sync {
    service_fn(|request: Asked| async {
        Ok(match to_bytes(request.into_body(), BODY_MAX).await {
            Ok(body) => Response::new(body.into()),
            Err(_) => refused(StatusCode::BAD_REQUEST),
        })
    })
}

fn refused(status: StatusCode) -> Answer {
    let mut response = Answer::default();
    *response.status_mut() = status;
    response
}

/// No layer: what the others add their cost to.
#[derive(Debug)]
pub struct Plain;

impl Echo for Plain {
    const NAME: &'static str = "floor";

    fn service() -> Result<Echoing, Unsupported> {
        Ok(echo())
    }
}

/// Our layer: a bucket for each client, and the fields that tell its state.
#[derive(Debug)]
pub struct Ours;

impl Echo for Ours {
    const NAME: &'static str = "rate-limiter";

    fn service() -> Result<Echoing, Unsupported> {
        let quota = Quota::per_second(CELLS.into());
        let quota = quota.map_err(|error| Unsupported(error.to_string()))?;
        let limiter = KeyedLimiter::new(quota, 100_000);
        let limiter = limiter.map_err(|error| Unsupported(error.to_string()))?;
        let layer = RateLimitLayer::new(limiter, ClientIp::direct());
        Ok(BoxCloneSyncService::new(layer.layer(bare())))
    }
}

/// governor's layer: a bucket for each client, and the fields that tell its state.
#[derive(Debug)]
pub struct TowerGovernor;

impl Echo for TowerGovernor {
    const NAME: &'static str = "tower_governor";

    fn service() -> Result<Echoing, Unsupported> {
        let config = GovernorConfigBuilder::default()
            .per_nanosecond(1)
            .burst_size(CELLS)
            .use_headers()
            .finish()
            .ok_or_else(|| Unsupported("a quota of nothing".to_owned()))?;
        let layer: GovernorLayer<PeerIpKeyExtractor, StateInformationMiddleware, _> =
            GovernorLayer::new(config);
        Ok(BoxCloneSyncService::new(layer.layer(bare())))
    }
}

/// tower's limit: one bucket for all, owned by a task that requests wait for, since a clone of the
/// service would have a limit of its own.
#[derive(Debug)]
pub struct TowerLimit;

impl Echo for TowerLimit {
    const NAME: &'static str = "tower";

    fn service() -> Result<Echoing, Unsupported> {
        let failed = HandleErrorLayer::new(async |_| StatusCode::INTERNAL_SERVER_ERROR);
        let service = ServiceBuilder::new()
            .layer(failed)
            .buffer(WAITING)
            .rate_limit(CELLS.into(), Duration::from_secs(1))
            .service(bare());
        Ok(BoxCloneSyncService::new(service))
    }
}
