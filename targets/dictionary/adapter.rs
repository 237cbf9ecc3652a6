// How Lance's own items answer this target's surface: first what they call outside themselves,
// reduced to what they call here, then the three ops. The builders write into the caller's memory
// (`Room`); Lance allocates that memory in the call, and grows it where keys are not uniform.
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::sync::{Arc, RwLock};

pub mod bytemuck {
    pub trait Pod: Copy {}
    impl Pod for i32 {}
    impl Pod for i64 {}
}
pub mod lance_core {
    pub use crate::Error;
}

/// Lance's error, of which only the kind is compared.
#[derive(Debug)]
pub struct Error(pub DictErr);
pub type Result<T, E = Error> = std::result::Result<T, E>;
impl Error {
    pub fn corrupt_file_named(_: &str, _: impl Into<String>) -> Self {
        Self(DictErr::Corrupt)
    }
    pub fn not_supported_source(_: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self(DictErr::NotSupported)
    }
    pub fn internal(_: String) -> Self {
        Self(DictErr::Internal)
    }
}

/// arrow's key types, of which only the width is asked for.
pub trait ArrowDictionaryKeyType {
    type Native: ArrowNativeType;
}
macro_rules! key_types {
    ($($name:ident = $native:ty),+) => {$(
        pub struct $name;
        impl ArrowDictionaryKeyType for $name {
            type Native = $native;
        }
    )+};
}
key_types!(UInt8Type = u8, UInt16Type = u16, UInt32Type = u32, UInt64Type = u64);

/// The caller's memory for bytes and offsets, and how much of it there is.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    bytes: (*mut u8, usize),
    /// In bytes.
    offsets: (*mut u8, usize),
}

/// Keeps Lance's allocation but not its hash map, whose first use would ask for random bytes; of a
/// dictionary's block it also says where its builder writes.
#[derive(Clone, Debug)]
pub struct BlockInfo {
    pub stats: Arc<RwLock<[usize; 6]>>,
    pub places: Option<Places>,
}
impl BlockInfo {
    #[inline]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { stats: Arc::new(RwLock::new([0; 6])), places: None }
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
    fn new((ptr, bytes): (*mut u8, usize)) -> Self {
        Self { ptr: ptr.cast(), len: 0, cap: bytes / size_of::<T>() }
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
    #[inline]
    pub fn extend(&mut self, more: impl Iterator<Item = T>) {
        for value in more {
            if self.len < self.cap {
                // SAFETY: inside the room.
                unsafe { self.ptr.add(self.len).write(value) };
            }
            self.len += 1;
        }
    }
}
impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} of {}", self.len, self.cap)
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
impl From<Room<u8>> for LanceBuffer {
    #[inline]
    fn from(room: Room<u8>) -> Self {
        Self::reinterpret_vec(room)
    }
}
impl LanceBuffer {
    /// # Safety
    /// `values` outlive the buffer and its clones: a page that Lance has loaded.
    #[inline]
    pub unsafe fn borrowed<T>(values: &[T]) -> Self {
        Self { owner: None, ptr: values.as_ptr().cast(), len: size_of_val(values) }
    }
    #[inline]
    pub fn reinterpret_vec<T>(room: Room<T>) -> Self {
        Self { owner: None, ptr: room.ptr.cast(), len: room.len * size_of::<T>() }
    }
    #[inline]
    pub fn borrow_to_typed_slice<T: ArrowNativeType>(&self) -> Shared<T> {
        assert!(self.len.is_multiple_of(size_of::<T>()));
        let (ptr, len) = (self.ptr.cast::<T>(), self.len / size_of::<T>());
        assert!(ptr.is_aligned(), "keys of a call are aligned");
        Shared { owner: self.owner.clone(), ptr, len }
    }
    #[inline]
    pub fn borrow_to_typed_view<T: ArrowNativeType>(&self) -> Cow<'_, [T]> {
        assert!(self.len.is_multiple_of(size_of::<T>()));
        assert!(self.ptr.cast::<T>().is_aligned(), "offsets of a call are aligned");
        // SAFETY: aligned, and every bit pattern is a native integer.
        Cow::Borrowed(unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.len / size_of::<T>()) })
    }
}

/// Of Lance's ten variants the two that a dictionary's items have here, and that of no rows.
#[derive(Debug, Clone)]
pub enum DataBlock {
    AllNull(AllNullDataBlock),
    FixedWidth(FixedWidthDataBlock),
    VariableWidth(VariableWidthBlock),
}
impl DataBlock {
    pub fn as_fixed_width_ref(&self) -> Option<&FixedWidthDataBlock> {
        match self {
            Self::FixedWidth(inner) => Some(inner),
            _ => None,
        }
    }
    pub fn as_variable_width_ref(&self) -> Option<&VariableWidthBlock> {
        match self {
            Self::VariableWidth(inner) => Some(inner),
            _ => None,
        }
    }
    pub fn num_values(&self) -> u64 {
        match self {
            Self::AllNull(inner) => inner.num_values,
            Self::FixedWidth(inner) => inner.num_values,
            Self::VariableWidth(inner) => inner.num_values,
        }
    }
    pub fn data_size(&self) -> u64 {
        match self {
            Self::AllNull(_) => 0,
            Self::FixedWidth(inner) => inner.data_size(),
            Self::VariableWidth(inner) => inner.data_size(),
        }
    }
    fn make_builder(&self, _estimated_size_bytes: u64) -> Box<dyn DataBlockBuilderImpl> {
        match self {
            Self::FixedWidth(inner) => Box::new(FixedWidthDataBlockBuilder {
                bits_per_value: inner.bits_per_value,
                bytes_per_value: inner.bits_per_value / 8,
                values: Room::new(inner.block_info.places.expect("the caller's memory").bytes),
            }),
            Self::VariableWidth(inner) if inner.bits_per_offset == 32 => make_variable::<i32>(inner),
            Self::VariableWidth(inner) => make_variable::<i64>(inner),
            Self::AllNull(_) => unreachable!("items are never only nulls"),
        }
    }
}

fn make_variable<T: OffsetSizeTrait + bytemuck::Pod>(
    block: &VariableWidthBlock,
) -> Box<dyn DataBlockBuilderImpl> {
    let places = block.block_info.places.expect("the caller's memory");
    let mut offsets = Room::new(places.offsets);
    offsets.extend(std::iter::once(T::usize_as(0)));
    Box::new(VariableWidthDataBlockBuilder::<T> { offsets, bytes: Room::new(places.bytes) })
}

/// The rows of a batch as a block. In Lance the block is the page's, and the two allocations are made
/// once a batch as here.
fn decode(keys: Keys, dictionary: DataBlock) -> std::result::Result<usize, DictErr> {
    // SAFETY: the keys outlive this call, and no buffer made here does.
    let (bits_per_value, data) = unsafe {
        match keys {
            Keys::U8(keys) => (8, LanceBuffer::borrowed(keys)),
            Keys::U16(keys) => (16, LanceBuffer::borrowed(keys)),
            Keys::U32(keys) => (32, LanceBuffer::borrowed(keys)),
            Keys::U64(keys) => (64, LanceBuffer::borrowed(keys)),
        }
    };
    let (num_values, block_info) = (keys.len() as u64, BlockInfo::new());
    let indices = FixedWidthDataBlock { data, bits_per_value, num_values, block_info };
    let block = DictionaryDataBlock { indices, dictionary: Box::new(dictionary) };
    match block.decode().map_err(|error| error.0)? {
        DataBlock::AllNull(_) => Ok(0),
        DataBlock::FixedWidth(block) => Ok(block.data.len()),
        DataBlock::VariableWidth(block) => Ok(block.data.len()),
    }
}

fn decode_variable<T: OffsetSizeTrait>(
    keys: Keys,
    items: u64,
    off: &[T],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> std::result::Result<usize, DictErr> {
    let places = Places {
        bytes: (out.as_mut_ptr().cast(), out.len()),
        offsets: (out_off.as_mut_ptr().cast(), size_of_val(out_off)),
    };
    // SAFETY: the inputs outlive this call, and no buffer made here does.
    let (data, offsets) = unsafe { (LanceBuffer::borrowed(data), LanceBuffer::borrowed(off)) };
    let block_info = BlockInfo { places: Some(places), ..BlockInfo::new() };
    let bits_per_offset = 8 * size_of::<T>() as u8;
    let num_values = items;
    decode(
        keys,
        DataBlock::VariableWidth(VariableWidthBlock {
            data,
            offsets,
            bits_per_offset,
            num_values,
            block_info,
        }),
    )
}

#[inline(never)]
pub fn decode_i32(
    keys: Keys,
    items: u64,
    off: &[i32],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> std::result::Result<usize, DictErr> {
    decode_variable(keys, items, off, data, out, out_off)
}

#[inline(never)]
pub fn decode_i64(
    keys: Keys,
    items: u64,
    off: &[i64],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> std::result::Result<usize, DictErr> {
    decode_variable(keys, items, off, data, out, out_off)
}

#[inline(never)]
pub fn decode_fixed(
    keys: Keys,
    items: u64,
    width: usize,
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
) -> std::result::Result<usize, DictErr> {
    let bytes = (out.as_mut_ptr().cast(), out.len());
    let places = Places { bytes, offsets: (std::ptr::null_mut(), 0) };
    // SAFETY: the data outlives this call, and no buffer made here does.
    let data = unsafe { LanceBuffer::borrowed(data) };
    let block_info = BlockInfo { places: Some(places), ..BlockInfo::new() };
    let bits_per_value = 8 * width as u64;
    let num_values = items;
    decode(
        keys,
        DataBlock::FixedWidth(FixedWidthDataBlock { data, bits_per_value, num_values, block_info }),
    )
}
