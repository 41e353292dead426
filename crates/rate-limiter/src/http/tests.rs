use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderName, Request, Response, StatusCode};
use proptest::prelude::*;
use tower_layer::Layer;
use tower_service::Service;

use super::{ClientIp, Fields, HeaderKey, KeyExtractor, OneForAll, PeerAddr, RateLimitLayer};
use crate::{Jitter, KeyedLimiter, ManualClock, Quota, SeededRandom};

/// Answers 200 and nothing.
#[derive(Clone)]
struct Empty;

impl<B> Service<Request<B>> for Empty {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new("served".to_owned())))
    }
}

fn layer<K: KeyExtractor>(keys: K) -> RateLimitLayer<K, ManualClock> {
    let quota = Quota::per_minute(30).unwrap().with_burst(3).unwrap();
    let limiter = KeyedLimiter::builder(quota, 100).clock(ManualClock::default()).build().unwrap();
    RateLimitLayer::new(limiter, keys)
}

fn call<S>(service: &mut S, request: Request<()>) -> Response<String>
where
    S: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut context) else {
        panic!("nothing here waits")
    };
    response
}

fn field<'a>(response: &'a Response<String>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

/// A request from 192.0.2.1 with these lines of `X-Forwarded-For`.
fn forwarded(lines: &[&str]) -> Request<()> {
    let mut request = Request::builder();
    for line in lines {
        request = request.header("x-forwarded-for", *line);
    }
    let peer = PeerAddr("192.0.2.1:4711".parse::<SocketAddr>().unwrap());
    request.extension(peer).body(()).unwrap()
}

/// What axum knows of a connection does where nobody says `PeerAddr`, and not where somebody does.
#[cfg(feature = "axum")]
#[test]
fn the_connection_that_axum_saw_counts() {
    let seen = axum::extract::ConnectInfo("198.51.100.7:80".parse::<SocketAddr>().unwrap());
    let mut request = Request::new(());
    assert_eq!(ClientIp::direct().key(&request), None);
    request.extensions_mut().insert(seen);
    let found = ClientIp::direct().key(&request).expect("axum saw it");
    assert_eq!(found, seen.0.ip().into());
    let mut request = forwarded(&[]);
    request.extensions_mut().insert(seen);
    assert_eq!(
        ClientIp::direct().key(&request),
        Some("192.0.2.1".parse::<IpAddr>().unwrap().into())
    );
}

/// tower's and tower-governor's layers, cloned for each connection, had a limit for each.
#[test]
fn like_a_limit_for_each_clone() {
    let layer = layer(OneForAll);
    let statuses: Vec<_> = (0..5)
        .map(|_| call(&mut layer.clone().layer(Empty).clone(), Request::new(())).status())
        .collect();
    let (ok, denied) = (StatusCode::OK, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(statuses, [ok, ok, ok, denied, denied]);
}

#[test]
fn fields_say_what_the_bucket_holds() {
    let layer = layer(OneForAll).fields(Fields::Both);
    let mut service = layer.layer(Empty);
    let first = call(&mut service, Request::new(()));
    assert_eq!(first.body(), "served");
    assert_eq!(field(&first, "ratelimit-policy"), Some("\"default\";q=3;w=6"));
    assert_eq!(field(&first, "ratelimit"), Some("\"default\";r=2;t=2"));
    assert_eq!(field(&first, "x-ratelimit-limit"), Some("3"));
    assert_eq!(field(&first, "x-ratelimit-remaining"), Some("2"));
    assert_eq!(field(&first, "x-ratelimit-reset"), Some("2"));
    assert_eq!(field(&first, "retry-after"), None);
    call(&mut service, Request::new(()));
    call(&mut service, Request::new(()));
    layer.limiter().clock().advance(Duration::from_millis(500));
    let denied = call(&mut service, Request::new(()));
    assert_eq!((denied.status().as_u16(), denied.body().as_str()), (429, ""));
    // A second and a half, and five and a half, rounded up.
    assert_eq!(field(&denied, "retry-after"), Some("2"));
    assert_eq!(field(&denied, "ratelimit"), Some("\"default\";r=0;t=6"));
    layer.limiter().clock().advance(Duration::from_secs(2));
    assert_eq!(call(&mut service, Request::new(())).status(), StatusCode::OK);
}

/// Clients that are denied together are sent back at different times, and none too early.
#[test]
fn a_jitter_spreads_those_who_come_back() {
    let jitter = Jitter::up_to(Duration::from_secs(9));
    let layer = layer(OneForAll).jitter(jitter, SeededRandom::new(1));
    let mut service = layer.clone().layer(Empty);
    (0..3).for_each(|_| drop(call(&mut service, Request::new(()))));
    let mut waits = BTreeSet::new();
    for _ in 0..200 {
        let denied = call(&mut layer.layer(Empty), Request::new(()));
        waits.insert(field(&denied, "retry-after").unwrap().parse::<u64>().unwrap());
        assert_eq!(field(&denied, "ratelimit"), Some("\"default\";r=0;t=6"));
    }
    // Two seconds, and up to nine; two of them only where not a nanosecond was drawn.
    assert_eq!(waits, (3..=11).collect());
}

fn lines<'a>(response: &'a Response<String>, name: &str) -> Vec<&'a str> {
    response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn layers_that_are_stacked_show_a_policy_each() {
    let outer = layer(OneForAll).policy("all").fields(Fields::Both);
    let inner = layer(HeaderKey(HeaderName::from_static("x-api-key")))
        .policy("one-client")
        .fields(Fields::Both);
    let mut service = outer.layer(inner.layer(Empty));
    outer.limiter().clock().advance(Duration::from_secs(2));
    call(&mut outer.layer(Empty), Request::new(()));
    let ask = || Request::builder().header("x-api-key", "ada").body(()).unwrap();
    let response = call(&mut service, ask());
    let policies = ["\"one-client\";q=3;w=6", "\"all\";q=3;w=6"];
    assert_eq!(lines(&response, "ratelimit-policy"), policies);
    let left = ["\"one-client\";r=2;t=2", "\"all\";r=1;t=4"];
    assert_eq!(lines(&response, "ratelimit"), left);
    assert_eq!(lines(&response, "x-ratelimit-remaining"), ["1"], "that of the outermost");
    assert_eq!(format!("{outer:?}").matches("policy: \"all\"").count(), 1);
}

/// Structured fields have integers of fifteen digits; a burst may have nineteen.
#[test]
fn numbers_that_fit_no_structured_field_are_cut() {
    let quota = Quota::per_second(1).unwrap().with_burst(1 << 60).unwrap();
    let limiter = KeyedLimiter::builder(quota, 1).clock(ManualClock::default()).build().unwrap();
    let layer = RateLimitLayer::new(limiter, OneForAll).fields(Fields::Both);
    let response = call(&mut layer.layer(Empty), Request::new(()));
    let most = "999999999999999";
    assert_eq!(field(&response, "ratelimit"), Some(&*format!("\"default\";r={most};t=1")));
    let policy = format!("\"default\";q={most};w=18446744074");
    assert_eq!(field(&response, "ratelimit-policy"), Some(&*policy));
    assert_eq!(field(&response, "x-ratelimit-limit"), Some("1152921504606846976"));
}

#[test]
fn names_that_would_break_the_field_are_refused() {
    for name in ["", "a\"b", "a\\b", "a b", "a\r\nb", "\u{e9}"] {
        let named = std::panic::catch_unwind(|| drop(layer(OneForAll).policy(name)));
        assert!(named.is_err(), "{name:?} was taken");
    }
}

#[test]
fn only_the_fields_that_were_asked_for_are_there() {
    for (fields, new, old) in [
        (Fields::Draft10, true, false),
        (Fields::Legacy, false, true),
        (Fields::Neither, false, false),
    ] {
        let response = call(&mut layer(OneForAll).fields(fields).layer(Empty), Request::new(()));
        assert_eq!(field(&response, "ratelimit").is_some(), new, "{fields:?}");
        assert_eq!(field(&response, "ratelimit-policy").is_some(), new, "{fields:?}");
        assert_eq!(field(&response, "x-ratelimit-limit").is_some(), old, "{fields:?}");
    }
}

/// Extractors that take the leftmost address let a client have as many buckets as it likes, and
/// fill the table with them.
#[test]
fn like_a_forged_forwarded_for() {
    let mut service = layer(ClientIp::behind(1)).layer(Empty);
    let denied = (0..10).filter(|forged| {
        let line = format!("10.0.0.{forged}, 203.0.113.9");
        call(&mut service, forwarded(&[&line])).status() == StatusCode::TOO_MANY_REQUESTS
    });
    assert_eq!(denied.count(), 7);
}

#[test]
fn the_entry_that_our_proxy_wrote_counts() {
    let net = |proxies: usize, lines: &[&str]| {
        ClientIp::behind(proxies).key(&forwarded(lines)).expect("there is a peer")
    };
    let of = |address: &str| address.parse::<IpAddr>().unwrap().into();
    assert_eq!(net(0, &["203.0.113.9"]), of("192.0.2.1"), "nobody in front of us");
    assert_eq!(net(1, &["1.1.1.1, 203.0.113.9"]), of("203.0.113.9"));
    assert_eq!(net(2, &["1.1.1.1, 203.0.113.9, 10.0.0.1"]), of("203.0.113.9"));
    assert_eq!(net(2, &["1.1.1.1", "203.0.113.9", "10.0.0.1"]), of("203.0.113.9"));
    assert_eq!(net(1, &["203.0.113.9:80"]), of("203.0.113.9"));
    assert_eq!(net(1, &["[2001:db8::1]:80"]), of("2001:db8::"));
    assert_eq!(net(1, &["[2001:db8::1]"]), of("2001:db8::"));
    assert_eq!(net(1, &["::ffff:203.0.113.9"]), of("203.0.113.9"));
    assert_eq!(net(1, &["2001:db8:0:1:a::1"]), of("2001:db8:0:1:b::2"));
    assert_ne!(net(1, &["2001:db8:0:1::1"]), of("2001:db8:0:2::1"));
    for lines in [&["not an address"][..], &[""], &[], &["203.0.113.9, "]] {
        assert_eq!(net(1, lines), of("192.0.2.1"), "{lines:?}");
    }
    assert_eq!(net(3, &["203.0.113.9, 10.0.0.1"]), of("192.0.2.1"), "it came around a proxy");
    assert_eq!(ClientIp::behind(1).key(&Request::new(())), None);
}

#[test]
fn headers_are_keys_and_the_hook_hears_of_all() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&heard);
    let layer = layer(HeaderKey("x-api-key".parse().unwrap())).on_decision(move |decision| {
        counter.fetch_add(usize::from(!decision.is_admitted()), Ordering::Relaxed);
    });
    let mut service = layer.layer(Empty);
    for key in ["a", "b"] {
        for _ in 0..4 {
            let request = Request::builder().header("x-api-key", key).body(()).unwrap();
            call(&mut service, request);
        }
    }
    assert_eq!(heard.load(Ordering::Relaxed), 2);
}

proptest! {
    /// No bytes in the header make the extractor panic, or give a client another key than what our
    /// proxy wrote.
    #[test]
    fn what_a_client_writes_does_not_matter(forged in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut line = forged.clone();
        line.extend(b", 203.0.113.9");
        let Ok(value) = http::HeaderValue::from_bytes(&line) else { return Ok(()) };
        let request = Request::builder().header("x-forwarded-for", value).body(()).unwrap();
        let expected = "203.0.113.9".parse::<IpAddr>().unwrap().into();
        prop_assert_eq!(ClientIp::behind(1).key(&request), Some(expected));
        let Ok(value) = http::HeaderValue::from_bytes(&forged) else { return Ok(()) };
        let request = Request::builder().header("x-forwarded-for", value).body(()).unwrap();
        let _: Option<_> = ClientIp::behind(1).key(&request);
    }
}
