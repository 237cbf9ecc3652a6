//! Elsewhere nothing is known of the processor's state.

use crate::call::{CallFn, RawCall};

/// Nothing to put back.
pub fn set_defaults() {}

/// Nothing is known of the registers.
pub fn clear_registers() {}

/// Nothing is compared.
pub fn changes() -> u32 {
    0
}

/// Makes one call.
///
/// # Safety
/// As `call`.
pub unsafe fn call_watched(call: CallFn, op: u32, raw: *const RawCall) -> u32 {
    // SAFETY: promised by the caller.
    unsafe { call(op, raw) };
    0
}
