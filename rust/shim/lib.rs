//! The crate under every kernel library: the call's buffers, `ops!`, `has`, the panic hook.
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
//! State that must exist before the clock starts is prepared untimed, by functions of the prelude's
//! module `prepare`; the prelude is compiled without the kernel and cannot reach it:
//!
//! ```ignore
//! // prelude.rs
//! pub mod prepare {
//!     pub fn earlier_heap(inputs: &lar_shim::Inputs) -> TopK { ... }  // own: for each call
//!     pub fn mask(bytes: &[u8]) -> Mask { ... }       // shared: once a slice, from bytes alone
//! }
//! // contract.rs
//! pub fn merge(call: &mut Call, heap: TopK) { ... }
//! pub fn scan(call: &mut Call, mask: &Mask) { ... }
//! lar_shim::ops!(merge(own earlier_heap), scan(shared mask from 3));      // argument 3
//! ```
//!
//! Compiled alone: `rustc --crate-type rlib --crate-name lar_shim rust/shim/lib.rs`.

#[path = "../abi/src/call.rs"]
#[doc(hidden)]
pub mod abi;
#[path = "heap.rs"]
mod heap;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
#[path = "libc.rs"]
mod libc;
#[path = "note.rs"]
mod note;
#[path = "num_traits.rs"]
pub mod num_traits;
#[path = "prepare.rs"]
#[doc(hidden)]
pub mod prepare;
#[path = "view.rs"]
mod view;

pub use abi::Feature;
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
#[doc(hidden)]
pub use libc::{AT_HWCAP, HWCAP_FPHP, getauxval};
pub use view::{Call, Inputs};

use core::sync::atomic::{AtomicPtr, Ordering};

/// Says "no feature" until the worker has called `lar_init_v1`.
static NONE: u64 = 0;
static FEATURES: AtomicPtr<u64> = AtomicPtr::new(&raw const NONE as *mut u64);

/// Whether kernels may use `feature` here: the CPU has it and the tier under test allows it.
/// Compiled with `lar_bare` it is always false, and the compiler drops the code behind it.
#[inline]
pub fn has(feature: Feature) -> bool {
    if cfg!(lar_bare) {
        return false;
    }
    // SAFETY: the pointer is NONE's or that of the worker's read-only page; both live on.
    unsafe { *FEATURES.load(Ordering::Relaxed) & feature.bit() != 0 }
}

/// Remembers features page, arena and heap, installs the panic hook. Called once by the worker.
///
/// # Safety
/// `init` and what it points at must be valid for the life of the process.
pub unsafe fn init(init: *const abi::Init) {
    // SAFETY: promised by the caller.
    let init = unsafe { &*init };
    FEATURES.store(init.features.cast_mut(), Ordering::Relaxed);
    prepare::set_arena(init.arena, init.arena_len);
    heap::set(init.heap, init.heap_len);
    note::install(init.note);
}

/// Exports the library's entry points for the ops named, numbered in this order.
///
/// Each is `name`, `name(own F)`, `name(shared G from N)` or `name(own F, shared G from N)`: F and G
/// are functions of `prelude::prepare`, N the argument from whose bytes G reads.
#[macro_export]
macro_rules! ops {
    ($($op:ident $(($($how:tt)+))?),+ $(,)?) => {
        #[global_allocator]
        static ALLOCATOR: $crate::prepare::Allocator = $crate::prepare::Allocator;
        $crate::export!($($crate::op!($op $(($($how)+))?)),+);
    };
}

/// One entry of `ops!`.
#[doc(hidden)]
#[macro_export]
macro_rules! op {
    ($op:ident) => {
        $crate::prepare::Op { run: $op, own: None, shared: None }
    };
    ($op:ident (own $own:ident)) => {
        $crate::prepare::Op {
            // SAFETY: `own` below made it.
            run: |call| {
                let own = unsafe { call.own(::prelude::prepare::$own) };
                $op(call, own)
            },
            own: Some(|inputs| $crate::prepare::keep(::prelude::prepare::$own(inputs))),
            shared: None,
        }
    };
    ($op:ident (shared $shared:ident from $arg:literal)) => {
        $crate::prepare::Op {
            // SAFETY: `shared` below made it.
            run: |call| {
                let shared = unsafe { call.shared(::prelude::prepare::$shared) };
                $op(call, shared)
            },
            own: None,
            shared: Some(($arg, |b| $crate::prepare::keep(::prelude::prepare::$shared(b)))),
        }
    };
    ($op:ident (own $own:ident, shared $shared:ident from $arg:literal)) => {
        $crate::prepare::Op {
            // SAFETY: `own` and `shared` below made them.
            run: |call| unsafe {
                let own = call.own(::prelude::prepare::$own);
                let shared = call.shared(::prelude::prepare::$shared);
                $op(call, own, shared)
            },
            own: Some(|inputs| $crate::prepare::keep(::prelude::prepare::$own(inputs))),
            shared: Some(($arg, |b| $crate::prepare::keep(::prelude::prepare::$shared(b)))),
        }
    };
}

/// The entry points of a table of ops. All are always there: a kernel that exports one of these
/// names does not link.
#[doc(hidden)]
#[macro_export]
macro_rules! export {
    ($($op:expr),+) => {
        const OPS: &[$crate::prepare::Op] = &[$($op),+];

        /// One call of op number `op`.
        ///
        /// # Safety
        /// `call` must be a valid `RawCall` whose buffers do not overlap.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn lar_call_v1(op: u32, call: *const $crate::abi::RawCall) {
            // SAFETY: promised by the caller.
            let mut call = unsafe { $crate::Call::new(call) };
            match OPS.get(op as usize) {
                Some(op) => (op.run)(&mut call),
                None => panic!("no op {op}"),
            }
        }

        /// The empty call: the cost of a call if the kernel does nothing.
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn lar_nop_v1(_op: u32, _call: *const $crate::abi::RawCall) {}

        /// Makes `n` calls of op number `op` ready; returns the bytes of the arena in use.
        ///
        /// # Safety
        /// `calls` must be `n` valid `RawCall`s.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn lar_prepare_v1(
            op: u32,
            calls: *const $crate::abi::RawCall,
            n: usize,
        ) -> usize {
            match OPS.get(op as usize) {
                // SAFETY: promised by the caller.
                Some(op) => unsafe { $crate::prepare::all(op, calls, n) },
                None => panic!("no op {op}"),
            }
        }

        /// Features, panic hook and arena.
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
