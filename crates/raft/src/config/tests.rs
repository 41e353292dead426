use super::{Config, ConfigError};
use crate::types::NodeId;

fn rejected(change: impl FnOnce(&mut Config)) -> Option<ConfigError> {
    let mut config = Config::new(NodeId(1), 1);
    change(&mut config);
    config.validate().err()
}

#[test]
fn usual_values_are_valid() {
    assert_eq!(rejected(|_| ()), None);
    assert_eq!(rejected(|it| it.lease_margin_ticks = Some(9)), None);
}

#[test]
fn each_mistake_has_its_name() {
    let ticks = ConfigError::Ticks { heartbeat: 6, election: 10 };
    assert_eq!(rejected(|it| it.heartbeat_ticks = 6), Some(ticks));
    assert!(rejected(|it| it.heartbeat_ticks = 0).is_some());
    let margin = ConfigError::LeaseMargin { margin: 10, election: 10 };
    assert_eq!(rejected(|it| it.lease_margin_ticks = Some(10)), Some(margin));
    let unchecked = rejected(|it| (it.lease_margin_ticks, it.check_quorum) = (Some(1), false));
    assert_eq!(unchecked, Some(ConfigError::LeaseWithoutCheckQuorum));
    let zero = rejected(|it| it.inflight_max = 0).expect("a window of nothing");
    assert!(zero.to_string().starts_with("inflight_max is zero"), "{zero}");
}
