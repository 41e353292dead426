use std::time::Duration;

use env::clock::Timestamp;
use env::random::SeededRandom;

use super::{LinkFault, Network, NodeId};
use crate::sim::coverage::Fault;
use crate::sim::trace::Trace;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn network(seed: u64) -> (Network, Trace) {
    let trace = Trace::new();
    (Network::new(3, SeededRandom::new(seed), trace.clone()), trace)
}

/// Sends `count` messages, a microsecond apart, and lists them in the order of arrival.
fn arrivals(network: &mut Network, count: u64) -> Vec<u64> {
    let mut flights = Vec::new();
    for number in 0..count {
        let copies = network.send(Timestamp::from_nanos(number * 1_000), ONE, TWO);
        flights.extend(copies.into_iter().map(|flight| (flight.arrives, number, flight)));
    }
    flights.sort_by_key(|&(at, number, _)| (at, number));
    flights.retain(|&(.., flight)| network.arrive(flight));
    flights.into_iter().map(|(_, number, _)| number).collect()
}

#[test]
fn healthy_link_delivers_each_message_once_and_in_order() {
    let (mut network, trace) = network(1);
    assert_eq!(arrivals(&mut network, 100), (0..100).collect::<Vec<_>>());
    assert_eq!(trace.lines(), 0);
}

#[test]
fn chances_are_kept_and_counted() {
    let (mut network, trace) = network(2);
    network.change(&[ONE], &[TWO], LinkFault::Drop(200_000));
    let arrived = arrivals(&mut network, 1_000).len() as u64;
    assert!((750..850).contains(&arrived), "{arrived} of 1,000 arrived");
    assert_eq!(trace.coverage().count(Fault::Drop), 1_000 - arrived);
    network.change(&[ONE], &[TWO], LinkFault::Heal);
    network.change(&[ONE], &[TWO], LinkFault::Duplicate(1_000_000));
    assert_eq!(arrivals(&mut network, 50).len(), 100);
}

#[test]
fn messages_overtake_one_another_only_where_they_may() {
    let (mut network, trace) = network(3);
    network.change(&[ONE], &[TWO], LinkFault::Reorder(100_000));
    let order = arrivals(&mut network, 1_000);
    assert!(!order.is_sorted());
    assert!(trace.coverage().count(Fault::Reorder) > 20);
}

#[test]
fn delay_is_within_what_was_asked_for() {
    let (mut network, trace) = network(4);
    let (min, max) = (Duration::from_millis(3), Duration::from_millis(4));
    network.change(&[ONE], &[TWO], LinkFault::Delay { min, max });
    let flights = network.send(Timestamp::ZERO, ONE, TWO);
    let took = flights[0].arrives.saturating_since(Timestamp::ZERO);
    assert!((min..=max).contains(&took), "{took:?}");
    assert_eq!(trace.coverage().count(Fault::Delay), 1);
    assert_eq!(network.send(Timestamp::ZERO, TWO, ONE).len(), 1, "the way back is another link");
    assert_eq!(trace.coverage().count(Fault::Delay), 1);
}

#[test]
fn partition_takes_what_is_in_flight_too() {
    let (mut network, trace) = network(5);
    let flight = network.send(Timestamp::ZERO, ONE, TWO)[0];
    network.block(Fault::OneWay, |from, to| (from, to) == (ONE, TWO));
    assert!(!network.arrive(flight));
    assert!(network.send(Timestamp::ZERO, ONE, TWO).is_empty());
    assert_eq!(network.send(Timestamp::ZERO, TWO, ONE).len(), 1);
    assert_eq!(trace.coverage().count(Fault::OneWay), 2);
    network.unblock();
    assert_eq!(network.send(Timestamp::ZERO, ONE, TWO).len(), 1);
}

#[test]
fn node_reaches_itself_at_once() {
    let (mut network, _) = network(6);
    let now = Timestamp::from_nanos(9);
    assert_eq!(network.send(now, ONE, ONE)[0].arrives, now);
}
