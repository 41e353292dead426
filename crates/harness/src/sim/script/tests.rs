use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Family, Script, Swarm, hunt, shrink, survive};

const EVERY_FAULT: &str = "\
at 120ms partition 1 2 | 3 | 4 5
at 121ms partition 1 -> 2 3
at 1s bridge 1 2 | 3 | 4 5
at 1500us ring
at 7ns heal
at 0ns link 1 -> * drop 10%
at 0ns link * -> 2 3 duplicate 2.5%
at 0ns link * -> * reorder 0.0001%
at 0ns link 1 -> 2 delay 1ms..20ms
at 0ns link * -> * heal
at 3ms pause 2
at 4ms resume 2
at 5ms kill 3
at 5ms crash 3
at 5ms crash 3 after 17 ios
at 6ms restart 3
at 6ms clock 1 rate 1.05
at 6ms clock 1 rate 2
at 6ms clock 1 jump -50ms
at 6ms clock 1 jump 1us
at 7ms disk 1 lose-sync once
at 7ms disk 1 read-error 3 times
at 7ms disk 1 write-error 100%
at 7ms disk 1 sync-error once
at 7ms disk 1 write-error once after 12
at 7ms disk 1 short-read 12.25%
at 7ms disk 1 full after 64KiB
at 7ms disk 1 full after 0B
at 7ms disk 1 flip-bit
at 7ms disk 1 flip-bit wal/000
at 7ms disk 1 slow 0ns..5ms
at 7ms disk 1 heal
at 900ms recover
";

#[test]
fn every_fault_reads_back_as_it_was_written() {
    let script: Script = EVERY_FAULT.parse().unwrap();
    assert_eq!(script.to_string(), EVERY_FAULT);
}

#[test]
fn drawn_scripts_read_back_too() {
    let mut swarm = Swarm::new(5, Duration::from_secs(1));
    swarm.families = Family::ALL.to_vec();
    for seed in 0..2_000 {
        let script = swarm.draw(seed);
        assert_eq!(script.to_string().parse(), Ok(script));
    }
}

#[test]
fn spaces_comments_and_missing_times_do_no_harm() {
    let script: Script = "\n  # quiet\n\t ring   # all of them\n\nat   5ms heal".parse().unwrap();
    assert_eq!(script.to_string(), "at 0ns ring\nat 5ms heal\n");
}

fn error(text: &str) -> String {
    text.parse::<Script>().unwrap_err().to_string()
}

#[test]
fn errors_name_the_line_and_what_could_have_stood_there() {
    assert_eq!(
        error("ring\nat 5 heal"),
        "line 2: expected a time with its unit, such as 120ms, but found `5`"
    );
    assert_eq!(
        error("\n\ncrash"),
        "line 3: expected a node, such as 2, but found the end of the line"
    );
    assert_eq!(error("heal now"), "line 1: expected the end of the line, but found `now`");
    assert!(error("explode 1").starts_with("line 1: expected a fault: partition, bridge, "));
    assert!(error("explode 1").ends_with("but found `explode`"));
}

#[test]
fn values_out_of_range_are_refused() {
    for (line, expected) in [
        ("crash 0", "a node"),
        ("crash -1", "a node"),
        ("crash 1 after x ios", "a whole number"),
        ("crash 1 after 3", "`ios`"),
        ("partition 1 | ", "a node"),
        ("bridge 1 | 2", "`|` between"),
        ("link 1 2 drop 3%", "`->`"),
        ("link 1 -> 2 eat 3%", "drop, duplicate"),
        ("link 1 -> 2 drop 101%", "a chance of at most 100%"),
        ("link 1 -> 2 drop 0.00001%", "a chance"),
        ("link 1 -> 2 delay 3ms..2ms", "two times"),
        ("clock 1 rate 0", "a rate"),
        ("clock 1 stop", "rate or jump"),
        ("clock 1 jump 99999999999999s", "a time"),
        ("disk 1 melt", "lose-sync, read-error"),
        ("disk 1", "lose-sync, read-error"),
        ("disk 1 lose-sync 3", "`once`"),
        ("disk 1 full after 3", "a size"),
        ("disk 1 full after 99999999999999MiB", "a size"),
    ] {
        let text = error(line);
        assert!(text.contains(&format!("expected {expected}")), "{line}: {text}");
    }
}

#[test]
fn swarm_draws_every_fault_and_ends_by_recovering() {
    let mut swarm = Swarm::new(5, Duration::from_secs(1));
    swarm.families = Family::ALL.to_vec();
    let mut kinds = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for seed in 0..2_000 {
        let script = swarm.draw(seed);
        assert_eq!(script, swarm.draw(seed));
        assert!(script.to_string().ends_with("at 1s recover\n"));
        assert!(script.lines.is_sorted_by_key(|line| line.at));
        lengths.insert(script.lines.len());
        // `link` and `disk` and `clock` have a second word.
        kinds.extend(script.lines.iter().flat_map(|line| {
            let text = line.fault.to_string();
            text.split(' ').filter(|word| word.len() > 2).map(str::to_owned).collect::<Vec<_>>()
        }));
    }
    for word in EVERY_FAULT.split([' ', '\n']) {
        let is_fault =
            word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        assert!(!is_fault || kinds.contains(word), "{word} is never drawn");
    }
    assert!(lengths.contains(&1) && lengths.len() > 10, "{lengths:?}");
}

#[test]
fn swarm_spares_those_who_are_no_victims() {
    let mut swarm = Swarm::new(5, Duration::from_secs(1));
    swarm.victims = 1;
    swarm.families = vec![Family::Crashes, Family::DiskErrors];
    let texts: String = (0..500).map(|seed| swarm.draw(seed).to_string()).collect();
    assert!(texts.contains("crash 1") && !texts.contains("crash 2"));
}

#[test]
fn shrinking_leaves_what_is_needed() {
    let script: Script = EVERY_FAULT.parse().unwrap();
    let asked = Cell::new(0);
    let short = shrink(&script, |script| {
        asked.set(asked.get() + 1);
        let text = script.to_string();
        text.contains("kill 3") && text.contains("pause 2")
    });
    assert_eq!(short.to_string(), "at 3ms pause 2\nat 5ms kill 3\n");
    assert!(asked.get() < 200, "asked {} times", asked.get());
}

/// A system that fails by its result or by a panic once a node is both paused and killed.
fn fragile(_seed: u64, script: &Script) -> Result<(), String> {
    let text = script.to_string();
    assert!(!text.contains("ring"), "the ring broke it");
    if text.contains("pause") && text.contains("crash") { Err("broken".to_owned()) } else { Ok(()) }
}

#[test]
fn hunt_finds_the_failure_and_shortens_its_script() {
    let mut swarm = Swarm::new(3, Duration::from_secs(1));
    let finding = hunt(200, &swarm, fragile).expect("pauses and crashes meet");
    assert_eq!((finding.message.as_str(), finding.script.lines.len()), ("broken", 2));
    assert!(finding.to_string().contains("lines of its script:\nat "));
    swarm.nodes = 5;
    swarm.families = vec![Family::Partitions];
    let finding = hunt(200, &swarm, fragile).expect("rings are drawn");
    assert_eq!(finding.message, "the ring broke it");
    swarm.families = vec![Family::Clocks];
    assert_eq!(hunt(200, &swarm, fragile), None);
}

#[test]
#[should_panic(expected = "lines of its script:\nat ")]
fn system_that_does_not_survive_is_reported() {
    let swarm = Swarm::new(3, Duration::from_secs(1));
    survive("sim::script", 200, &swarm, fragile);
}
