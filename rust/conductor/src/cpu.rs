//! Which features this CPU has, as bits of the shim's features word.

#[cfg(target_arch = "aarch64")]
#[path = "cpu_aarch64.rs"]
mod detect;
#[cfg(target_arch = "x86_64")]
#[path = "cpu_x86_64.rs"]
mod detect;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod detect {
    //! No features are known elsewhere.
    pub fn features() -> u64 {
        0
    }
}

pub use detect::features;
