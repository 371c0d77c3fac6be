//! Load averages (`proc_loadavg(5)`), worked out when somebody asks: there is no timer behind them.
//!
//! What is averaged is how many threads ran or could have run, which is the time that all of them together spent outside of
//! sleep, by the time that has passed.

use crate::Kernel;
use ksync::{Mutex, rank};
use std::sync::atomic::{AtomicU64, Ordering};

/// Over how many seconds each average is taken.
const PERIODS: [f64; 3] = [60.0, 300.0, 900.0];
/// Averages are not brought up to date more often than Linux does it, in nanoseconds.
const INTERVAL_NS: u64 = 5_000_000_000;

#[derive(Default)]
struct Averages {
    at_ns: u64,
    total_ns: u64,
    values: [f64; 3],
}

/// What is known of the load.
pub struct Load {
    /// Time that threads have run application code or been answered, in nanoseconds.
    pub(crate) total_ns: AtomicU64,
    averages: Mutex<Averages>,
}

impl Default for Load {
    fn default() -> Self {
        Self { total_ns: AtomicU64::new(0), averages: Mutex::new(rank::LEAF, Averages::default()) }
    }
}

impl Averages {
    /// Brings the averages from what they were to what they are after `elapsed` seconds of `load`.
    fn advance(&mut self, elapsed: f64, load: f64) {
        for (value, period) in self.values.iter_mut().zip(PERIODS) {
            let kept = (-elapsed / period).exp();
            *value = *value * kept + load * (1.0 - kept);
        }
    }
}

impl Kernel {
    /// The averages over 1, 5 and 15 minutes, times 65536.
    pub fn load_averages(&self) -> [u64; 3] {
        let now = self.monotonic_ns();
        let running: u64 = self
            .tasks()
            .iter()
            .map(|t| t.running_since_ns.load(Ordering::Relaxed))
            .filter(|since| *since != 0)
            .map(|since| now.saturating_sub(since))
            .sum();
        let total = self.load.total_ns.load(Ordering::Relaxed).saturating_add(running);
        let mut averages = self.load.averages.lock();
        if averages.at_ns == 0 {
            averages.at_ns = self.boot_ns;
        }
        let elapsed = now.saturating_sub(averages.at_ns);
        if elapsed >= INTERVAL_NS {
            let load = total.saturating_sub(averages.total_ns) as f64 / elapsed as f64;
            averages.advance(elapsed as f64 / 1e9, load);
            (averages.at_ns, averages.total_ns) = (now, total);
        }
        averages.values.map(|value| (value * 65536.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_approach_the_load_at_their_own_pace() {
        let mut averages = Averages::default();
        averages.advance(60.0, 2.0);
        let [one, five, fifteen] = averages.values;
        assert!((1.2..1.3).contains(&one) && one > five && five > fifteen && fifteen > 0.0);
        averages.advance(36_000.0, 0.0);
        assert!(averages.values.iter().all(|v| *v < 0.001));
    }
}
