//! One call as a contract sees it: typed inputs, typed outputs, lengths, failure, prepared state.

use crate::abi::{MAX_PARTS, RawCall, RawPart, SlotHeader};
use core::mem::{MaybeUninit, align_of, size_of};
use core::ops::Deref;
use core::{ptr, slice};

/// One call's arguments. They borrow for the whole call, since nothing can move them.
pub struct Inputs<'a> {
    raw: &'a RawCall,
}

/// One call's buffers: its `Inputs`, and outputs.
pub struct Call<'a> {
    inputs: Inputs<'a>,
    /// Parts already handed out, one bit each: no part is borrowed twice.
    taken: u8,
}

impl<'a> Deref for Call<'a> {
    type Target = Inputs<'a>;

    #[inline]
    fn deref(&self) -> &Inputs<'a> {
        &self.inputs
    }
}

macro_rules! args {
    ($($(#[$doc:meta])* $name:ident: $t:ty),+) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&self, i: usize) -> &'a [$t] { self.arg(i) }
    )+};
}

macro_rules! outs {
    ($($(#[$doc:meta])* $name:ident: $t:ty),+) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, i: usize) -> &'a mut [$t] { self.out(i) }
    )+};
}

impl<'a> Inputs<'a> {
    /// # Safety
    /// `raw` must be valid for `'a`, its inputs of any bit pattern.
    #[inline]
    pub(crate) unsafe fn new(raw: &'a RawCall) -> Self {
        Inputs { raw }
    }

    args! {
        /// Argument `i` as f32; panics if its length is no multiple of the element.
        f32s: f32, f64s: f64, bytes: u8, u16s: u16, u32s: u32, u64s: u64,
        i8s: i8, i16s: i16, i32s: i32, i64s: i64
    }

    /// First element of argument `i`.
    #[inline]
    pub fn u64(&self, i: usize) -> u64 {
        self.u64s(i)[0]
    }

    /// First element of argument `i`.
    #[inline]
    pub fn i64(&self, i: usize) -> i64 {
        self.i64s(i)[0]
    }

    /// First element of argument `i`.
    #[inline]
    pub fn f32(&self, i: usize) -> f32 {
        self.f32s(i)[0]
    }

    /// Number of arguments.
    #[inline]
    pub fn n_args(&self) -> usize {
        self.raw.n_args
    }

    #[inline]
    fn arg<T>(&self, i: usize) -> &'a [T] {
        assert!(i < self.raw.n_args, "no argument {i}");
        // SAFETY: `i` is in bounds of the table.
        let arg = unsafe { *self.raw.args.add(i) };
        check(arg.ptr, arg.len, align_of::<T>(), size_of::<T>());
        // SAFETY: aligned, in bounds, read-only, any bit pattern is a value of T.
        unsafe { slice::from_raw_parts(arg.ptr.cast(), arg.len / size_of::<T>()) }
    }
}

impl<'a> Call<'a> {
    /// # Safety
    /// `raw` must be valid for `'a`, its buffers disjoint and of any bit pattern.
    #[doc(hidden)]
    #[inline]
    pub unsafe fn new(raw: *const RawCall) -> Self {
        // SAFETY: promised by the caller.
        let raw = unsafe { &*raw };
        // SAFETY: the header is one line of this call's own slot.
        unsafe { *raw.header = SlotHeader::default() };
        Call { inputs: Inputs { raw }, taken: 0 }
    }

    /// The state that was made ready for this call alone, to be taken once.
    ///
    /// # Safety
    /// It must have been made by this function.
    #[doc(hidden)]
    #[inline]
    pub unsafe fn own<T: 'static>(&mut self, _made_by: fn(&Inputs) -> T) -> T {
        // SAFETY: this call's own entry.
        let prepared = unsafe { &mut *self.raw.prepared };
        assert!(!prepared.own.is_null(), "contract: the call was not prepared, or made twice");
        let own = core::mem::replace(&mut prepared.own, ptr::null_mut());
        // SAFETY: promised by the caller; it is taken once.
        unsafe { own.cast::<T>().read() }
    }

    /// The state that calls of this slice share.
    ///
    /// # Safety
    /// It must have been made by this function.
    #[doc(hidden)]
    #[inline]
    pub unsafe fn shared<T: 'static>(&self, _made_by: fn(&[u8]) -> T) -> &'a T {
        // SAFETY: this call's own entry; what it points at lives until the next slice.
        unsafe {
            let shared = (*self.raw.prepared).shared;
            assert!(!shared.is_null(), "contract: the call was not prepared");
            &*shared.cast::<T>()
        }
    }

    outs! {
        /// The whole of part `i`; its length is preset to the capacity.
        out_f32s: f32, out_f64s: f64, out_bytes: u8, out_u16s: u16, out_u32s: u32,
        out_u64s: u64, out_i32s: i32, out_i64s: i64
    }

    /// Part `i` as bytes not to be read; say with `set_len` how many were written.
    #[inline]
    pub fn out_uninit(&mut self, i: usize) -> &'a mut [MaybeUninit<u8>] {
        let part = self.take(i);
        // SAFETY: a buffer of `cap` bytes, handed out once.
        unsafe { slice::from_raw_parts_mut(part.ptr.cast(), part.cap) }
    }

    /// Bytes written to part `i`.
    #[inline]
    pub fn set_len(&mut self, i: usize, bytes: usize) {
        assert!(i < self.raw.n_parts, "no output part {i}");
        // SAFETY: the header is this call's own.
        unsafe { (*self.raw.header).len[i] = bytes as u64 }
    }

    /// The call failed as upstream does: `kind` becomes its status, all lengths 0.
    #[inline]
    pub fn fail(&mut self, kind: u64) {
        let header = SlotHeader { status: kind, len: [0; MAX_PARTS] };
        // SAFETY: the header is this call's own.
        unsafe { *self.raw.header = header }
    }

    #[inline]
    fn out<T>(&mut self, i: usize) -> &'a mut [T] {
        let part = self.take(i);
        check(part.ptr, part.cap, align_of::<T>(), size_of::<T>());
        self.set_len(i, part.cap);
        // SAFETY: aligned, in bounds, handed out once, any bit pattern is a value of T.
        unsafe { slice::from_raw_parts_mut(part.ptr.cast(), part.cap / size_of::<T>()) }
    }

    #[inline]
    fn take(&mut self, i: usize) -> RawPart {
        assert!(i < self.raw.n_parts, "no output part {i}");
        assert!(self.taken & (1 << i) == 0, "output part {i} taken twice");
        self.taken |= 1 << i;
        // SAFETY: `i` is in bounds of the table.
        unsafe { *self.raw.parts.add(i) }
    }
}

/// A buffer that cannot be a slice of T is a fault of the target, not of the kernel.
#[inline]
fn check(ptr: *const u8, len: usize, align: usize, size: usize) {
    assert!(
        (ptr as usize).is_multiple_of(align) && len.is_multiple_of(size),
        "contract: a buffer of {len} bytes does not fit elements of {size}"
    );
}
