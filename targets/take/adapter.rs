// How Lance's own items answer this target's surface: first what they call outside themselves,
// reduced to what they call here, then the page loop, then the ops. The builders write into the
// caller's memory (`Room`); Lance estimates that memory, allocates it in the call, and grows it.
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::ptr;
use std::sync::{Arc, RwLock};

/// lance-encoding calls `fsst::fsst::decompress`.
pub mod fsst {
    pub mod fsst {
        pub use crate::decompress;
    }
}
pub mod bytemuck {
    pub trait Pod: Copy {}
    impl Pod for u8 {}
    impl Pod for u16 {}
    impl Pod for u32 {}
    impl Pod for u64 {}
    impl Pod for i32 {}
    impl Pod for i64 {}
}
use bytemuck::Pod;

/// Lance's error, of which only the kind is compared.
#[derive(Debug)]
pub struct Error(pub TakeErr);
pub type Result<T, E = Error> = std::result::Result<T, E>;
impl Error {
    pub fn corrupt_file_named(_: &str, _: impl Into<String>) -> Self {
        Self(TakeErr::Corrupt)
    }
    pub fn invalid_input(_: impl Into<String>) -> Self {
        Self(TakeErr::InvalidInput)
    }
    pub fn not_supported_source(_: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self(TakeErr::NotSupported)
    }
}
impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self(e.into())
    }
}

/// Keeps Lance's allocation but not its hash map, whose first use would ask for random bytes.
#[derive(Clone, Debug)]
pub struct BlockInfo(pub Arc<RwLock<[usize; 6]>>);
impl BlockInfo {
    #[inline]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new([0; 6])))
    }
}
impl PartialEq for BlockInfo {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A `Vec` over the caller's memory: what lies beyond it is counted and not kept. So Lance's check of
/// the offset type is reached without 2 GiB of output; in every other call all of it fits.
pub struct Room<T> {
    ptr: *mut T,
    len: usize,
    cap: usize,
}
impl<T: Copy> Room<T> {
    #[inline]
    fn new<M>(memory: &mut [M]) -> Self {
        let cap = size_of_val(memory) / size_of::<T>();
        Self { ptr: memory.as_mut_ptr().cast(), len: 0, cap }
    }
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    #[inline]
    pub fn extend_from_slice(&mut self, more: &[T]) {
        if more.len() <= self.cap.saturating_sub(self.len) {
            // SAFETY: that much room is left, and inputs and outputs do not overlap.
            unsafe { self.ptr.add(self.len).copy_from_nonoverlapping(more.as_ptr(), more.len()) };
        }
        self.len += more.len();
    }
    /// As `Vec` does for an iterator that knows its length: one check of the room for all.
    #[inline]
    pub fn extend(&mut self, more: impl ExactSizeIterator<Item = T>) {
        let (at, n) = (self.len, more.len());
        let fits = n <= self.cap.saturating_sub(at);
        for (i, value) in more.enumerate() {
            if fits {
                // SAFETY: inside the room.
                unsafe { self.ptr.add(at + i).write(value) };
            }
        }
        self.len = at + n;
    }
}
impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} of {}", self.len, self.cap)
    }
}

/// What a buffer is made of: a vector, which it owns, or the caller's memory, which it does not.
pub trait Memory {
    fn into_parts(self) -> (Option<Arc<dyn Any + Send + Sync>>, *const u8, usize);
}
impl<T: Send + Sync + 'static> Memory for Vec<T> {
    #[inline]
    fn into_parts(self) -> (Option<Arc<dyn Any + Send + Sync>>, *const u8, usize) {
        let (ptr, len) = (self.as_ptr().cast(), size_of_val(&self[..]));
        (Some(Arc::new(self)), ptr, len)
    }
}
impl<T> Memory for Room<T> {
    #[inline]
    fn into_parts(self) -> (Option<Arc<dyn Any + Send + Sync>>, *const u8, usize) {
        (None, self.ptr.cast_const().cast(), self.len * size_of::<T>())
    }
}

/// Bytes with a counted owner: one allocation to make, none to slice or to read as another `T`
/// (arrow's `Buffer` and `ScalarBuffer`).
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
impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
impl<M: Memory> From<M> for LanceBuffer {
    #[inline]
    fn from(memory: M) -> Self {
        Self::reinterpret_vec(memory)
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
    pub fn empty() -> Self {
        Self { owner: None, ptr: ptr::NonNull::dangling().as_ptr(), len: 0 }
    }
    #[inline]
    pub fn reinterpret_vec(memory: impl Memory) -> Self {
        let (owner, ptr, len) = memory.into_parts();
        Self { owner, ptr, len }
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

/// Of Lance's ten variants the two that such a chunk has.
#[derive(Debug, Clone)]
pub enum DataBlock {
    FixedWidth(FixedWidthDataBlock),
    VariableWidth(VariableWidthBlock),
}
impl DataBlock {
    pub fn as_fixed_width_ref(&self) -> Option<&FixedWidthDataBlock> {
        match self {
            Self::FixedWidth(inner) => Some(inner),
            Self::VariableWidth(_) => None,
        }
    }
    pub fn as_variable_width_ref(&self) -> Option<&VariableWidthBlock> {
        match self {
            Self::VariableWidth(inner) => Some(inner),
            Self::FixedWidth(_) => None,
        }
    }
}

/// File version 2.3 only; a default 2.2 page has the legacy layout.
fn decode_generic_binary_miniblock(
    _: u8,
    _: &dyn BlockDecompressor,
    _: bool,
    _: Vec<LanceBuffer>,
    _: u64,
) -> Result<DataBlock> {
    unreachable!("generic offsets are not part of this target")
}

/// The loop of `DecodeMiniBlockTask::decode`, for a page without levels, in which a range of rows is
/// the same range of items: each chunk is decoded whole, once, and kept for its next range if there
/// is one (its clone costs three counters). Bytes that the builder has at the end.
fn take(
    page: &dyn MiniBlockDecompressor,
    picks: Picks,
    builder: Box<dyn DataBlockBuilderImpl>,
) -> std::result::Result<usize, TakeErr> {
    let mut builder = builder;
    for pick in picks.iter() {
        let mut kept = None;
        for (i, &[start, end]) in pick.ranges.iter().enumerate() {
            let values = match &kept {
                Some(values) => DataBlock::clone(values),
                None => {
                    // SAFETY: the page outlives this call, and no buffer made here does.
                    let chunk = unsafe { LanceBuffer::borrowed(pick.chunk) };
                    let values = page.decompress(vec![chunk], pick.values).map_err(|e| e.0)?;
                    if i + 1 < pick.ranges.len() {
                        kept = Some(values.clone());
                    }
                    values
                }
            };
            builder.append(&values, start as u64..end as u64).map_err(|e| e.0)?;
        }
    }
    match builder.finish() {
        DataBlock::FixedWidth(block) => Ok(block.data.len()),
        DataBlock::VariableWidth(block) => Ok(block.data.len()),
    }
}

fn make_builder<T: OffsetSizeTrait + Pod>(
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Box<dyn DataBlockBuilderImpl> {
    let mut offsets = Room::new(out_off);
    offsets.extend(std::iter::once(T::usize_as(0)));
    Box::new(VariableWidthDataBlockBuilder::<T> { offsets, bytes: Room::new(out) })
}

fn make_binary(bits: u8) -> std::result::Result<BinaryMiniBlockDecompressor, TakeErr> {
    BinaryMiniBlockDecompressor::new(bits).map_err(|e| e.0)
}

/// The page's decompressor exists once a page in Lance; here its one small box is made in each call.
#[inline(never)]
pub fn take_fsst(
    table: &[u8],
    picks: Picks,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> std::result::Result<usize, TakeErr> {
    // SAFETY: as in `take`.
    let symbol_table = unsafe { LanceBuffer::borrowed(table) };
    let inner_decompressor = Box::new(make_binary(32)?);
    let page = FsstMiniBlockDecompressor { symbol_table, inner_decompressor };
    take(&page, picks, make_builder(out, out_off))
}

#[inline(never)]
pub fn take_i32(
    picks: Picks,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> std::result::Result<usize, TakeErr> {
    take(&make_binary(32)?, picks, make_builder(out, out_off))
}

#[inline(never)]
pub fn take_i64(
    picks: Picks,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> std::result::Result<usize, TakeErr> {
    take(&make_binary(64)?, picks, make_builder(out, out_off))
}

/// `bits` of a value: 8, 16, 32 or 64.
#[inline(never)]
pub fn take_bitpack(
    bits: usize,
    picks: Picks,
    out: &mut [MaybeUninit<u8>],
) -> std::result::Result<usize, TakeErr> {
    let (bits_per_value, bytes_per_value) = (bits as u64, bits as u64 / 8);
    let builder = FixedWidthDataBlockBuilder { bits_per_value, bytes_per_value, values: Room::new(out) };
    take(&InlineBitpacking::new(bits as u64), picks, Box::new(builder))
}
