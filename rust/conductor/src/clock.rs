//! The one clock: a raw counter if the CPU has a usable one, and its rate.

use crate::limits::Limits;
use crate::stop::{Void, VoidCause};

#[cfg(target_arch = "aarch64")]
#[path = "clock_aarch64.rs"]
mod counter;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "clock_portable.rs"]
mod counter;
#[cfg(target_arch = "x86_64")]
#[path = "clock_x86_64.rs"]
mod counter;

pub use counter::ticks;

fn nanoseconds(id: libc::clockid_t) -> i128 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is ours.
    unsafe { libc::clock_gettime(id, &mut t) };
    i128::from(t.tv_sec) * 1_000_000_000 + i128::from(t.tv_nsec)
}

/// Counter ticks per nanosecond.
#[derive(Clone, Copy, Debug)]
pub struct Rate(pub f64);

impl Rate {
    /// Measures for 20 ms against CLOCK_MONOTONIC_RAW.
    pub fn measure() -> Self {
        let (t0, n0) = (ticks(), nanoseconds(libc::CLOCK_MONOTONIC_RAW));
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (t1, n1) = (ticks(), nanoseconds(libc::CLOCK_MONOTONIC_RAW));
        Rate((t1 - t0) as f64 / (n1 - n0) as f64)
    }

    /// Ticks in `us` microseconds.
    pub fn ticks_of_us(self, us: f64) -> u64 {
        (us * 1000.0 * self.0) as u64
    }

    /// Nanoseconds in `ticks` ticks.
    pub fn ns(self, ticks: u64) -> f64 {
        ticks as f64 / self.0
    }
}

/// The clocks at one moment; two of them tell whether time ran evenly between.
pub struct Moment {
    ticks: u64,
    monotonic: i128,
    boot: i128,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Moment {
            ticks: ticks(),
            monotonic: nanoseconds(libc::CLOCK_MONOTONIC_RAW),
            boot: nanoseconds(libc::CLOCK_BOOTTIME) - nanoseconds(libc::CLOCK_MONOTONIC),
        }
    }

    /// Milliseconds since.
    pub fn elapsed_ms(&self) -> f64 {
        (nanoseconds(libc::CLOCK_MONOTONIC_RAW) - self.monotonic) as f64 / 1e6
    }

    /// Why the time since then cannot be trusted, if it cannot.
    pub fn unsteady(&self, rate: Rate, limits: &Limits) -> Option<Void> {
        let now = Moment::now();
        if (now.boot - self.boot).abs() as f64 > limits.suspend_ms * 1e6 {
            return Some(Void::new(VoidCause::MachineSlept, "the machine was suspended"));
        }
        let counted = rate.ns(now.ticks.wrapping_sub(self.ticks));
        let passed = (now.monotonic - self.monotonic) as f64;
        let allowed = limits.clock_drift_share * passed + limits.clock_drift_us * 1000.0;
        ((counted - passed).abs() > allowed)
            .then(|| Void::new(VoidCause::ClockJumped, "counter and clock disagree"))
    }
}
