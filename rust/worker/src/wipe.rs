//! Nothing that a kernel left in its scratch memory survives until its next slice.
//!
//! The conductor knows which pages of it exist, in either worker of the pair: both overwrite the same
//! pages, with the same byte, before a slice's inputs are touched.

use crate::memory::Memory;
use crate::run::ranges;
use crate::stack;
use lar_abi::wire::Command;
use std::sync::atomic::Ordering;

/// Overwrites what the command lists; of the stack, what is not in use.
#[inline(always)]
pub fn all(memory: &Memory, command: &Command) {
    if cfg!(feature = "test-no-wipe") {
        return;
    }
    let setup = &memory.setup;
    let byte = command.fill.load(Ordering::Relaxed) as u8;
    for range in ranges(&command.wipes, &command.n_wipe) {
        if range.addr.wrapping_sub(setup.stack_base) < setup.stack_len {
            stack::fill(setup, range, byte);
        } else {
            // SAFETY: the conductor's range of scratch memory, in which no code runs now.
            unsafe { std::ptr::write_bytes(range.addr as *mut u8, byte, range.len as usize) };
        }
    }
}
