//! Slots in front of Lance's kernels. An empty slot is Lance's own code.
//!
//! The end-to-end program fills a slot with the function of a loaded library. Only this crate and
//! a few lines at each call site are compiled into Lance: what is counted, timed or observed is the
//! business of the program, so that it can change without another build of Lance.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, Ordering};

mod targets;
pub use targets::*;

/// A place for one function pointer of type `F`.
pub struct Slot<F> {
    place: AtomicPtr<()>,
    kind: PhantomData<F>,
}

impl<F: Copy> Slot<F> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        const { assert!(size_of::<F>() == size_of::<*mut ()>()) };
        Self { place: AtomicPtr::new(std::ptr::null_mut()), kind: PhantomData }
    }

    /// The function, or None: then the caller goes on with its own code.
    #[inline(always)]
    pub fn get(&self) -> Option<F> {
        let place = self.place.load(Ordering::Acquire);
        // SAFETY: not null, so `fill` put an `F` there, and `F` is a function pointer.
        (!place.is_null()).then(|| unsafe { std::mem::transmute_copy(&place) })
    }

    /// # Safety
    /// `F` is a function pointer, and what it points at is never unloaded.
    pub unsafe fn fill(&self, function: F) {
        // SAFETY: the assertion in `new`, and the caller.
        self.place.store(unsafe { std::mem::transmute_copy(&function) }, Ordering::Release);
    }
}
