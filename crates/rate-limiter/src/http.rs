//! A tower layer that limits requests by key.
//!
//! ```text
//!   request -> key -> check, once --- admitted -> inner service -> response + fields
//!                         |
//!                         '---------- denied ---> 429, Retry-After, fields
//! ```
//!
//! A [`RateLimitLayer`] and all services that it makes share one limiter: a server that clones its
//! service for each connection still has one bucket for each key.
//!
//! # Fields
//!
//! [`Fields::Draft10`] are those of `draft-ietf-httpapi-ratelimit-headers-10`, [`Fields::Legacy`]
//! the older ones that clients know. A bucket has no window, so that it is described by what is as
//! good: its burst, and the time in which that fills up.
//!
//! | field                   | value                                               |
//! |-------------------------|-----------------------------------------------------|
//! | `RateLimit-Policy`      | `"<policy>";q=<burst>;w=<seconds to fill up>`       |
//! | `RateLimit`             | `"<policy>";r=<cells left>;t=<seconds until full>`  |
//! | `X-RateLimit-Limit`     | burst                                               |
//! | `X-RateLimit-Remaining` | cells left                                          |
//! | `X-RateLimit-Reset`     | seconds until full                                  |
//! | `Retry-After`           | seconds until the request is admitted; with 429     |
//!
//! Seconds are rounded up, so that who comes back then is admitted; a [`jitter`] lengthens them in
//! `Retry-After`, by chance. Numbers of the first two fields are at most 999,999,999,999,999, the
//! largest that a structured field can hold.
//!
//! [`jitter`]: RateLimitLayer::jitter
//!
//! The first two are lists: of layers that are stacked, each appends its line, under the name that
//! [`RateLimitLayer::policy`] gave it. The others have room for one, and show the outermost layer.
//!
//! # What this module does not do
//!
//! It does not wait: a request is served or refused at once. It reads no body.

mod key;

use std::fmt;
use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use env::clock::{Clock, FastClock};
use env::random::Random;
use foldhash::quality::RandomState;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::decision::{Decision, Standing};
use crate::jitter::Jitter;
use crate::keyed::KeyedLimiter;
use crate::sync::{Arc, Mutex};

pub use key::{ClientIp, ClientNet, HeaderKey, KeyExtractor, OneForAll, PeerAddr};

/// Largest integer of a structured field: fifteen digits (RFC 9651, section 3.3.1).
const INTEGER_MAX: u64 = 999_999_999_999_999;

// Names that the crate `http` does not know are checked letter by letter, which is done here once.
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const LEGACY_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const LEGACY_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const LEGACY_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which fields responses carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// `RateLimit-Policy` and `RateLimit`.
    #[default]
    Draft10,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining`, `X-RateLimit-Reset`.
    Legacy,
    /// Both.
    Both,
    /// None but `Retry-After`.
    Neither,
}

/// Is told of every decision; see [`RateLimitLayer::on_decision`].
type Hook = Arc<Box<dyn Fn(&Decision) + Send + Sync>>;

/// What lengthens `Retry-After`; see [`RateLimitLayer::jitter`].
struct Spread {
    jitter: Jitter,
    random: Mutex<Box<dyn Random>>,
}

impl Spread {
    fn lengthen(&self, wait: Duration) -> Duration {
        let mut random = self.random.lock().expect("a source of randomness does not panic");
        self.jitter.add_to(wait, &mut *random)
    }
}

/// Puts one limiter before services. Clones share it.
///
/// ```
/// use rate_limiter::http::{ClientIp, RateLimitLayer};
/// use rate_limiter::{KeyedLimiter, Quota};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limiter = KeyedLimiter::new(Quota::per_second(10)?.with_burst(20)?, 100_000)?;
/// // Behind one proxy of ours, which appends the client's address to `X-Forwarded-For`.
/// let layer = RateLimitLayer::new(limiter, ClientIp::behind(1));
/// # let _: RateLimitLayer<ClientIp> = layer;
/// # Ok(())
/// # }
/// ```
pub struct RateLimitLayer<K, C = FastClock, S = RandomState> {
    /// Servers clone their services with each request: so there is one pointer to clone.
    settings: Arc<Settings<K, C, S>>,
}

struct Settings<K, C, S> {
    limiter: Arc<KeyedLimiter<C, S>>,
    keys: Arc<K>,
    fields: Fields,
    policy: Policy,
    spread: Option<Arc<Spread>>,
    hook: Option<Hook>,
}

impl<K: KeyExtractor, C: Clock, S: BuildHasher> RateLimitLayer<K, C, S> {
    /// Limits by the keys that `keys` finds; requests without one share a bucket.
    pub fn new(limiter: KeyedLimiter<C, S>, keys: K) -> Self {
        let policy = Policy::of(&limiter, "default");
        let (limiter, keys, fields) = (Arc::new(limiter), Arc::new(keys), Fields::default());
        let settings = Settings { limiter, keys, fields, policy, spread: None, hook: None };
        Self { settings: Arc::new(settings) }
    }

    /// Which fields responses carry.
    #[must_use]
    pub fn fields(self, fields: Fields) -> Self {
        self.change(|settings| settings.fields = fields)
    }

    /// What [`Fields::Draft10`] call this layer's policy; `default` where nothing is said. Layers
    /// that are stacked need names of their own, or a client cannot tell which of their
    /// `RateLimit-Policy` belongs to which `RateLimit`.
    ///
    /// Panics unless the name is of visible ASCII characters other than quotes and backslashes, and
    /// at least one.
    #[must_use]
    pub fn policy(self, policy: &'static str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        assert!(
            !policy.is_empty() && policy.bytes().all(is_plain),
            "{policy:?} is no name of a policy: use letters, digits and hyphens"
        );
        self.change(|settings| settings.policy = Policy::of(&settings.limiter, policy))
    }

    /// Lengthens every `Retry-After` by a delay of `jitter`, drawn from `random`, so that clients
    /// that are denied together do not return together. The field has whole seconds: a delay of
    /// less than one does little. A denial takes a lock to draw.
    #[must_use]
    pub fn jitter(self, jitter: Jitter, random: impl Random + 'static) -> Self {
        let spread = Spread { jitter, random: Mutex::new(Box::new(random)) };
        self.change(|settings| settings.spread = Some(Arc::new(spread)))
    }

    /// Calls `hook` after every decision, before the request goes on: for counters and logs.
    #[must_use]
    pub fn on_decision(self, hook: impl Fn(&Decision) + Send + Sync + 'static) -> Self {
        self.change(|settings| settings.hook = Some(Arc::new(Box::new(hook))))
    }

    /// The limiter.
    pub fn limiter(&self) -> &KeyedLimiter<C, S> {
        &self.settings.limiter
    }

    /// The layer with other settings; its clones keep theirs.
    fn change(self, change: impl FnOnce(&mut Settings<K, C, S>)) -> Self {
        let settings = Arc::try_unwrap(self.settings);
        let mut settings = settings.unwrap_or_else(|shared| (*shared).clone());
        change(&mut settings);
        Self { settings: Arc::new(settings) }
    }
}

impl<K, C, S> Clone for Settings<K, C, S> {
    fn clone(&self) -> Self {
        Self {
            limiter: Arc::clone(&self.limiter),
            keys: Arc::clone(&self.keys),
            fields: self.fields,
            policy: self.policy.clone(),
            spread: self.spread.as_ref().map(Arc::clone),
            hook: self.hook.as_ref().map(Arc::clone),
        }
    }
}

impl<K, C, S> Clone for RateLimitLayer<K, C, S> {
    fn clone(&self) -> Self {
        Self { settings: Arc::clone(&self.settings) }
    }
}

impl<K, C, S> fmt::Debug for RateLimitLayer<K, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { limiter, fields, policy, .. } = &*self.settings;
        f.debug_struct("RateLimitLayer")
            .field("limiter", limiter)
            .field("fields", fields)
            .field("policy", &policy.name)
            .finish_non_exhaustive()
    }
}

impl<I, K, C, S> Layer<I> for RateLimitLayer<K, C, S> {
    type Service = RateLimited<I, K, C, S>;

    fn layer(&self, inner: I) -> Self::Service {
        RateLimited { inner, layer: self.clone() }
    }
}

/// A service behind a [`RateLimitLayer`].
#[derive(Debug)]
pub struct RateLimited<I, K, C = FastClock, S = RandomState> {
    inner: I,
    layer: RateLimitLayer<K, C, S>,
}

impl<I: Clone, K, C, S> Clone for RateLimited<I, K, C, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<I, K, C, S, Body, ResponseBody> Service<Request<Body>> for RateLimited<I, K, C, S>
where
    I: Service<Request<Body>, Response = Response<ResponseBody>>,
    K: KeyExtractor,
    C: Clock,
    S: BuildHasher,
    ResponseBody: Default,
{
    type Response = Response<ResponseBody>;
    type Error = I::Error;
    type Future = ResponseFuture<I::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Settings { limiter, keys, fields, policy, spread, hook } = &*self.layer.settings;
        let (key, now) = (keys.key(&request), limiter.clock().now());
        let (decision, standing) = limiter.check_and_look_at(now, &key, 1);
        if let Some(hook) = hook {
            hook(&decision);
        }
        let shown = Shown::new(&standing, *fields, policy);
        match decision {
            Decision::Admitted => {
                ResponseFuture::Admitted { inner: self.inner.call(request), shown }
            }
            Decision::Denied(denial) => {
                let wait = denial.retry_after();
                let retry_after = spread.as_ref().map_or(wait, |spread| spread.lengthen(wait));
                ResponseFuture::Denied { retry_after, shown }
            }
            Decision::Impossible { .. } => unreachable!("one cell fits into every burst"),
        }
    }
}

pin_project! {
    /// The future of [`RateLimited`].
    #[project = Projected]
    #[derive(Debug)]
    #[expect(missing_docs, reason = "the fields are those of the two outcomes")]
    pub enum ResponseFuture<F> {
        /// The inner service is at work.
        Admitted { #[pin] inner: F, shown: Shown },
        /// The answer is 429.
        Denied { retry_after: Duration, shown: Shown },
    }
}

impl<F, B: Default, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { inner, shown } => {
                let mut response = ready!(inner.poll(context))?;
                shown.write(response.headers_mut());
                Poll::Ready(Ok(response))
            }
            Projected::Denied { retry_after, shown } => {
                let mut response = Response::new(B::default());
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                let headers = response.headers_mut();
                headers.insert(RETRY_AFTER, seconds(*retry_after).into());
                shown.write(headers);
                Poll::Ready(Ok(response))
            }
        }
    }
}

/// What a response says of the bucket.
#[derive(Clone, Debug)]
pub struct Shown {
    burst: u64,
    left: u64,
    reset: u64,
    /// `RateLimit-Policy` and `RateLimit`.
    draft: Option<[HeaderValue; 2]>,
    has_legacy: bool,
}

impl Shown {
    fn new(standing: &Standing, fields: Fields, policy: &Policy) -> Self {
        let (burst, left) = (standing.burst(), standing.remaining());
        let (window, reset) = (seconds(standing.fill_time()), seconds(standing.full_after()));
        let has_draft = matches!(fields, Fields::Draft10 | Fields::Both);
        let draft = has_draft.then(|| [policy.stated(burst, window), policy.left(left, reset)]);
        let has_legacy = matches!(fields, Fields::Legacy | Fields::Both);
        Self { burst, left, reset, draft, has_legacy }
    }

    /// To be called once.
    fn write(&mut self, headers: &mut HeaderMap) {
        if let Some([policy, left]) = self.draft.take() {
            headers.append(RATELIMIT_POLICY, policy);
            headers.append(RATELIMIT, left);
        }
        if self.has_legacy {
            headers.insert(LEGACY_LIMIT, self.burst.into());
            headers.insert(LEGACY_REMAINING, self.left.into());
            headers.insert(LEGACY_RESET, self.reset.into());
        }
    }
}

/// A policy's name, and its field as long as the quota stays what it was.
#[derive(Clone)]
struct Policy {
    /// Invariant: visible ASCII without quotes and backslashes.
    name: &'static str,
    burst: u64,
    window: u64,
    field: HeaderValue,
    /// What `RateLimit-Policy` and `RateLimit` begin with, whatever the quota.
    starts: [String; 2],
}

impl Policy {
    fn of<C: Clock, S: BuildHasher>(limiter: &KeyedLimiter<C, S>, name: &'static str) -> Self {
        // Of any key: all have this burst, and fill up in this time.
        let standing = limiter.standing_at(limiter.clock().now(), name);
        let (burst, window) = (standing.burst(), seconds(standing.fill_time()));
        let starts = ["q", "r"].map(|parameter| format!("\"{name}\";{parameter}="));
        let field = item(&starts[0], burst, ";w=", window);
        Self { name, burst, window, field, starts }
    }

    fn stated(&self, burst: u64, window: u64) -> HeaderValue {
        if (burst, window) == (self.burst, self.window) {
            return self.field.clone();
        }
        item(&self.starts[0], burst, ";w=", window)
    }

    fn left(&self, left: u64, reset: u64) -> HeaderValue {
        item(&self.starts[1], left, ";t=", reset)
    }
}

/// An item of the draft's lists, in the one allocation that the response keeps.
fn item(start: &str, count: u64, middle: &str, time: u64) -> HeaderValue {
    let (mut counted, mut timed) = (itoa::Buffer::new(), itoa::Buffer::new());
    let counted = counted.format(count.min(INTEGER_MAX));
    let timed = timed.format(time.min(INTEGER_MAX));
    let item = [start, counted, middle, timed].concat();
    HeaderValue::try_from(item).expect("visible ASCII makes a header value")
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests;
