//! Whether the machine does other things while something is measured: then figures are worth little.
#![allow(dead_code)] // each program that measures uses a part of it

use std::{thread::sleep, time::Duration};

/// The share of the processors' time that a quiet machine uses at most.
const QUIET: f64 = 0.25;

/// How long the processors are watched.
const WATCHED: Duration = Duration::from_secs(2);

/// The spread from which on a figure is doubtful: the middle half of its samples over their median.
pub const WIDE: f64 = 0.15;

/// The share of all processors' time that is used, watched for a moment; none where the system does not tell. What this
/// command has built before does not count, as it does in the load.
pub fn share() -> Option<f64> {
    let before = ticks(&stat()?)?;
    sleep(WATCHED);
    Some(used(before, ticks(&stat()?)?))
}

/// What is wrong with such a share.
pub fn warning(part: &str, share: f64) -> Option<String> {
    (share > QUIET).then(|| {
        let percent = 100.0 * share;
        format!(
            "the machine was busy before {part} was measured: {percent:.0} % of its processors' time was used"
        )
    })
}

fn stat() -> Option<String> {
    std::fs::read_to_string("/proc/stat").ok()
}

/// Ticks since the start of the system.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    idle: u64,
    all: u64,
}

/// Of all processors together: the first line of proc(5)'s `stat`, which has user, nice, system, idle, iowait, irq, softirq
/// and steal, and then guests, which count as users.
fn ticks(stat: &str) -> Option<Ticks> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let numbers: Vec<u64> = numbers.map_while(|number| number.parse().ok()).take(8).collect();
    let idle = numbers.get(3)? + numbers.get(4)?;
    Some(Ticks { idle, all: numbers.iter().sum() })
}

fn used(before: Ticks, after: Ticks) -> f64 {
    let all = after.all.saturating_sub(before.all).max(1);
    1.0 - after.idle.saturating_sub(before.idle).min(all) as f64 / all as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_used_share_is_what_was_not_idle() {
        // A benchmark without a harness drops the test, and would have no use for it outside.
        use super::*;
        let stat = |user: u64, idle: u64| format!("cpu  {user} 0 10 {idle} 5 0 0 0 7 0\ncpu0 1 2 3 4\n");
        let before = ticks(&stat(100, 1000)).unwrap();
        assert_eq!(before, Ticks { idle: 1005, all: 1115 });
        let after = ticks(&stat(130, 1070)).unwrap();
        assert!((used(before, after) - 0.3).abs() < 1e-9);
        assert!(used(before, before) > 0.99, "nothing passed, so that nothing is known to be idle");
        assert!(warning("web", 0.3).is_some());
        assert_eq!(warning("web", 0.1), None);
        assert_eq!(ticks("intr 1"), None);
    }
}
