//! Stands in for the items of the libc crate that Lance's extracted code uses on AArch64 Linux.

use core::ffi::c_ulong;

/// Key of the hardware capabilities word.
pub const AT_HWCAP: c_ulong = 16;
/// Half-precision floats.
pub const HWCAP_FPHP: c_ulong = 1 << 9;

unsafe extern "C" {
    /// A word the kernel gave this process.
    pub fn getauxval(key: c_ulong) -> c_ulong;
}
