//! Tests of the suite: the model passes it, and each planted bug is found.

use super::*;
use crate::contract::Unsupported;
use crate::model::ModelCluster;

crate::consensus_suite!(model, ModelCluster);
crate::consensus_suite!(sound, Planted<NOTHING>);

const NOTHING: u8 = 0;
const LOST_ON_RESTART: u8 = 1;
const REORDERED: u8 = 2;
const DUPLICATED: u8 = 3;
const LAST_MISSING: u8 = 4;
const PADDED: u8 = 5;
const FORGETS_ALL: u8 = 6;

/// A copy of the log at each node, filled when the cluster is driven, sound or with one bug.
struct Planted<const BUG: u8> {
    proposed: Vec<Vec<u8>>,
    nodes: Vec<Vec<Vec<u8>>>,
}

impl<const BUG: u8> Consensus for Planted<BUG> {
    const NAME: &'static str = "planted";

    fn start(spec: &ClusterSpec) -> Result<Self, Unsupported> {
        Ok(Self { proposed: Vec::new(), nodes: vec![Vec::new(); spec.nodes] })
    }

    fn propose(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        self.proposed.push(payload.to_vec());
        Ok(())
    }

    fn drive(&mut self, _entries: u64) -> Result<(), StoreError> {
        let last = self.nodes.len() - 1;
        for (node, log) in self.nodes.iter_mut().enumerate() {
            let from = log.len().min(self.proposed.len());
            let mut news = self.proposed[from..].to_vec();
            match BUG {
                REORDERED if node == last && news.len() > 3 => news.swap(1, 2),
                DUPLICATED if node == last && news.len() > 3 => news.insert(1, news[0].clone()),
                LAST_MISSING if node == last => drop(news.pop()),
                PADDED => news.iter_mut().filter(|it| it.is_empty()).for_each(|it| it.push(0)),
                _ => {}
            }
            log.extend(news);
        }
        Ok(())
    }

    fn applied(&self, node: usize) -> Vec<Vec<u8>> {
        self.nodes[node].clone()
    }

    fn restart(&mut self, node: usize) -> Result<(), Unsupported> {
        match BUG {
            LOST_ON_RESTART if self.nodes[node].len() > 1 => {
                let last = self.nodes[node].pop().unwrap();
                *self.nodes[node].last_mut().unwrap() = last;
            }
            FORGETS_ALL => {
                self.nodes[node].clear();
                self.proposed.clear();
            }
            _ => self.nodes[node].truncate(1),
        }
        Ok(())
    }
}

found_by! {
    Planted:
    entry_lost_on_restart_is_found: LOST_ON_RESTART by survives_restarts, survives_restart_of_all;
    changed_order_is_found: REORDERED by applies_in_order;
    repeated_entry_is_found: DUPLICATED by applies_in_order;
    missing_entry_is_found: LAST_MISSING by applies_in_order, odd_payloads;
    changed_payload_is_found: PADDED by odd_payloads;
    forgotten_log_is_found: FORGETS_ALL by survives_restarts, survives_restart_of_all;
}

#[test]
fn agreement_is_about_beginnings_and_repetitions() {
    let log = |text: &str| text.bytes().map(|byte| vec![byte]).collect::<Vec<_>>();
    assert!(agree(&[log("abc"), log("ab"), log("")]));
    assert!(!agree(&[log("abc"), log("ac")]));
    assert!(!agree(&[log("abc"), log("bc")]));
    assert!(!agree(&[log("aba"), log("ab")]));
}
