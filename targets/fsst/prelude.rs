//! What Lance's FSST code calls outside itself, reduced to what it calls here.
//!
//! Upstream's items stay verbatim in the kernel; only foreign names are stood in for: arrow's
//! offset traits, bytemuck's marker, Lance's buffer (an owner, a pointer and a length, as in
//! arrow: one counted allocation to make, none to slice) and Lance's error, of which only the kind
//! is compared. `BlockInfo` keeps its allocation but not its hash map, whose first use would ask
//! the kernel for random bytes inside the sandbox.
use std::any::Any;
use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{AddAssign, Deref, Sub};
use std::sync::{Arc, RwLock};

/// Kinds of failure that are compared; the number is the call's status. Messages are not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsstErr {
    /// Corrupt table, offsets, escape or chunk.
    InvalidData = 1,
    /// Wrong table size, output too small.
    InvalidInput = 2,
    /// The output would not fit its offset type.
    NotSupported = 3,
}

#[derive(Debug)]
pub struct Error(pub FsstErr);
pub type Result<T, E = Error> = std::result::Result<T, E>;
impl Error {
    pub fn corrupt_file_named(_: &str, _: impl Into<String>) -> Self {
        Self(FsstErr::InvalidData)
    }
    pub fn invalid_input(_: impl Into<String>) -> Self {
        Self(FsstErr::InvalidInput)
    }
    pub fn not_supported_source(_: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self(FsstErr::NotSupported)
    }
}
impl From<std::io::Error> for FsstErr {
    fn from(e: std::io::Error) -> Self {
        let corrupt = e.kind() == std::io::ErrorKind::InvalidData;
        if corrupt { Self::InvalidData } else { Self::InvalidInput }
    }
}
impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self(e.into())
    }
}

pub trait ArrowNativeType: Copy + Debug + Ord + Send + Sync + 'static {
    fn from_usize(v: usize) -> Option<Self>;
    fn usize_as(v: usize) -> Self;
    fn as_usize(self) -> usize;
    fn to_usize(self) -> Option<usize>;
}
pub trait OffsetSizeTrait: ArrowNativeType + AddAssign + Display + Sub<Output = Self> {
    const MAX_OFFSET: usize;
    fn zero() -> Self {
        Self::usize_as(0)
    }
    fn get_byte_width() -> usize {
        size_of::<Self>()
    }
}
macro_rules! native {
    ($($t:ty)*) => {$(impl ArrowNativeType for $t {
        #[inline] fn from_usize(v: usize) -> Option<Self> { v.try_into().ok() }
        #[inline] fn usize_as(v: usize) -> Self { v as $t }
        #[inline] fn as_usize(self) -> usize { self as usize }
        #[inline] fn to_usize(self) -> Option<usize> { self.try_into().ok() }
    })*};
}
native!(u8 u32 u64 i32 i64);
impl OffsetSizeTrait for i32 {
    const MAX_OFFSET: usize = i32::MAX as usize;
}
impl OffsetSizeTrait for i64 {
    const MAX_OFFSET: usize = i64::MAX as usize;
}
pub mod bytemuck {
    pub trait Pod: Copy {}
    impl Pod for i32 {}
    impl Pod for i64 {}
}

#[derive(Clone, Debug)]
pub struct BlockInfo(pub Arc<RwLock<[usize; 6]>>);
impl BlockInfo {
    #[inline]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new([0; 6])))
    }
}

/// Bytes with a counted owner; `T` is what they are read as (arrow's `Buffer` and `ScalarBuffer`).
#[derive(Clone, Debug)]
pub struct Shared<T> {
    owner: Option<Arc<dyn Any + Send + Sync>>,
    ptr: *const T,
    len: usize,
}
pub type LanceBuffer = Shared<u8>;
// SAFETY: never written after construction, and the owner is itself Send + Sync.
unsafe impl<T: Sync> Send for Shared<T> {}
unsafe impl<T: Sync> Sync for Shared<T> {}
impl<T> Deref for Shared<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `owner`, or the caller of `borrowed`, keeps `len` elements at `ptr` alive.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}
impl<T> AsRef<[T]> for Shared<T> {
    #[inline]
    fn as_ref(&self) -> &[T] {
        self
    }
}
impl From<Vec<u8>> for LanceBuffer {
    #[inline]
    fn from(v: Vec<u8>) -> Self {
        Self::reinterpret_vec(v)
    }
}
impl LanceBuffer {
    /// # Safety
    /// `bytes` outlives the buffer and its clones: a slice of a page that Lance has loaded.
    #[inline]
    pub unsafe fn borrowed(bytes: &[u8]) -> Self {
        Self { owner: None, ptr: bytes.as_ptr(), len: bytes.len() }
    }
    #[inline]
    pub fn reinterpret_vec<T: ArrowNativeType>(v: Vec<T>) -> Self {
        let (ptr, len) = (v.as_ptr().cast(), size_of_val(&v[..]));
        Self { owner: Some(Arc::new(v)), ptr, len }
    }
    #[inline]
    pub fn borrow_to_typed_slice<T: ArrowNativeType>(&self) -> Shared<T> {
        assert!(self.len.is_multiple_of(size_of::<T>()));
        let (ptr, len) = (self.ptr.cast::<T>(), self.len / size_of::<T>());
        if ptr.is_aligned() {
            return Shared { owner: self.owner.clone(), ptr, len };
        }
        // SAFETY: the asserted length; every bit pattern is a native integer.
        let v: Vec<T> = (0..len).map(|i| unsafe { ptr.add(i).read_unaligned() }).collect();
        let ptr = v.as_ptr();
        Shared { owner: Some(Arc::new(v)), ptr, len }
    }
    #[inline]
    pub fn borrow_to_typed_view<T: ArrowNativeType>(&self) -> Cow<'_, [T]> {
        if !self.ptr.cast::<T>().is_aligned() {
            return Cow::Owned(self.borrow_to_typed_slice::<T>().to_vec());
        }
        assert!(self.len.is_multiple_of(size_of::<T>()));
        // SAFETY: aligned, and every bit pattern is a native integer.
        Cow::Borrowed(unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.len / size_of::<T>()) })
    }
}

/// A `Vec` over the caller's memory, so that upstream's `&mut Vec` outputs land where they are
/// wanted without a copy that Lance does not make. It must never grow: every caller checks first.
#[inline]
pub fn vec_over<T>(memory: &mut [MaybeUninit<T>], len: usize) -> ManuallyDrop<Vec<T>> {
    assert!(len <= memory.len());
    // SAFETY: never dropped and, within its capacity, never reallocated; integers need no init.
    let v = unsafe { Vec::from_raw_parts(memory.as_mut_ptr().cast(), len, memory.len()) };
    ManuallyDrop::new(v)
}
