//! Every number that decides whether a pair counts or a kernel is at fault.
//!
//! Their values and reasons stand in Python, `rules/policy.py`, class `MeasuringLimits`; they come
//! with `open`. There are no defaults here: a missing or unknown field is an error.

use serde::Deserialize;
use std::time::Duration;

/// The fields of Python's `MeasuringLimits`, by the same names.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub heap_mb: u64,
    pub arena_mb: u64,
    pub stack_mb: u64,
    pub call_ms: u64,
    pub load_ms: u64,
    pub spawner_ms: u64,
    pub starved_ms: u64,
    pub stall_share: f64,
    pub foreign_share: f64,
    pub clock_drift_share: f64,
    pub clock_drift_us: f64,
    pub suspend_ms: f64,
    pub arm_ratio: f64,
    pub arm_margin_us: f64,
    pub combo_arm_ratio: f64,
    pub combo_arm_rounds: usize,
    pub early_lines: usize,
    pub late_lines: usize,
    pub late_us: f64,
    pub empty_slices: usize,
    pub max_calls: usize,
    pub max_output_mb: usize,
    pub block_window_mb: usize,
    pub max_slice_us: f64,
    pub max_block_slice_us: f64,
    pub max_block_slices: usize,
    pub calls_jitter: f64,
    pub check_calls: usize,
    pub check_mappings: usize,
    pub check_input_mb: usize,
    pub check_output_mb: usize,
}

impl Limits {
    /// How long a worker may take to load its library.
    pub fn loading(&self) -> Duration {
        Duration::from_millis(self.load_ms + self.call_ms)
    }

    /// How long the spawner may take to answer.
    pub fn spawner(&self) -> Duration {
        Duration::from_millis(self.spawner_ms)
    }
}

/// Bytes in a number of MiB.
pub fn mib(count: usize) -> usize {
    count << 20
}

#[cfg(test)]
pub mod tests {
    use super::Limits;
    use serde_json::{Value, json};

    /// Limits for tests of this program, not those that decide.
    pub fn plain() -> Value {
        json!({
            "heap_mb": 64, "arena_mb": 1, "stack_mb": 8, "call_ms": 1000, "load_ms": 1000, "spawner_ms": 1000,
            "starved_ms": 500, "stall_share": 0.01, "foreign_share": 0.5,
            "clock_drift_share": 0.01, "clock_drift_us": 1000.0, "suspend_ms": 50.0,
            "arm_ratio": 1.5, "arm_margin_us": 3.0, "combo_arm_ratio": 2.5, "combo_arm_rounds": 8,
            "early_lines": 4, "late_lines": 64, "late_us": 1.0, "empty_slices": 15,
            "max_calls": 100, "max_output_mb": 1, "block_window_mb": 4, "max_slice_us": 3000.0,
            "max_block_slice_us": 1000.0, "max_block_slices": 100, "calls_jitter": 0.1,
            "check_calls": 16, "check_mappings": 100, "check_input_mb": 1, "check_output_mb": 1,
        })
    }

    #[test]
    fn a_missing_or_unknown_limit_is_an_error() {
        assert!(serde_json::from_value::<Limits>(plain()).is_ok());
        let known: Vec<String> = plain().as_object().expect("a map").keys().cloned().collect();
        for name in known {
            let mut less = plain();
            less.as_object_mut().expect("a map").remove(&name);
            assert!(serde_json::from_value::<Limits>(less).is_err(), "{name} has a default");
        }
        let mut more = plain();
        more["another"] = json!(1);
        assert!(serde_json::from_value::<Limits>(more).is_err());
    }
}
