//! What every kernel library is built with: the call's buffers, `ops!`, `has`, the panic hook.
//!
//! A contract reads
//!
//! ```ignore
//! use lar_shim::Call;
//! pub fn scan(call: &mut Call) {
//!     let (table, codes) = (call.f32s(0), call.bytes(1));
//!     kernels::scan(table, codes, call.out_f32s(0));
//! }
//! lar_shim::ops!(scan);
//! ```
//!
//! Compiled alone: `rustc --crate-type rlib --crate-name lar_shim rust/shim/lib.rs`.

#[path = "../abi/src/call.rs"]
#[doc(hidden)]
pub mod abi;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
#[path = "libc.rs"]
mod libc;
#[path = "note.rs"]
mod note;
#[path = "num_traits.rs"]
pub mod num_traits;
#[path = "view.rs"]
mod view;

pub use abi::Feature;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
#[doc(hidden)]
pub use libc::{AT_HWCAP, HWCAP_FPHP, getauxval};
pub use view::Call;

use core::sync::atomic::{AtomicPtr, Ordering};

/// Says "no feature" until the worker has called `lar_init_v1`.
static NONE: u64 = 0;
static FEATURES: AtomicPtr<u64> = AtomicPtr::new(&raw const NONE as *mut u64);

/// Whether kernels may use `feature` here: the CPU has it and the tier under test allows it.
/// Compiled with `lar_bare` it is never so, and what is guarded by it falls away.
#[inline]
pub fn has(feature: Feature) -> bool {
    if cfg!(lar_bare) {
        return false;
    }
    // SAFETY: the pointer is NONE's or that of the worker's read-only page; both live on.
    unsafe { *FEATURES.load(Ordering::Relaxed) & feature.bit() != 0 }
}

/// Remembers the features page and installs the panic hook. Called once by the worker.
///
/// # Safety
/// `init` and what it points at must be valid for the life of the process.
pub unsafe fn init(init: *const abi::Init) {
    // SAFETY: promised by the caller.
    let init = unsafe { &*init };
    FEATURES.store(init.features.cast_mut(), Ordering::Relaxed);
    note::install(init.note);
}

/// Exports the library's entry points for the ops named, numbered in this order.
#[macro_export]
macro_rules! ops {
    ($($op:ident),+ $(,)?) => {
        /// One call of op number `op`.
        ///
        /// # Safety
        /// `call` must be a valid `RawCall` whose buffers do not overlap.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn lar_call_v1(op: u32, call: *const $crate::abi::RawCall) {
            const TABLE: &[fn(&mut $crate::Call)] = &[$($op),+];
            // SAFETY: promised by the caller.
            let mut call = unsafe { $crate::Call::new(call) };
            match TABLE.get(op as usize) {
                Some(op) => op(&mut call),
                None => panic!("no op {op}"),
            }
        }

        /// The empty call: what a call costs when the kernel does nothing.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn lar_nop_v1(_op: u32, _call: *const $crate::abi::RawCall) {}

        /// Features and panic hook.
        ///
        /// # Safety
        /// See `lar_shim::init`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn lar_init_v1(init: *const $crate::abi::Init) {
            // SAFETY: promised by the caller.
            unsafe { $crate::init(init) }
        }
    };
}
