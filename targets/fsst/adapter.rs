// How Lance's own items answer this target's surface: first what they call outside themselves,
// reduced to what they call here, then the three ops. Nothing is added to what they do: outputs
// are written into the caller's memory through `vec_over`, a chunk is a slice of a loaded page.
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
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
    impl Pod for i32 {}
    impl Pod for i64 {}
}

/// Lance's error, of which only the kind is compared.
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

/// The two of Lance's ten variants that a chunk of strings needs: itself, and anything else.
#[derive(Debug, Clone)]
pub enum DataBlock {
    VariableWidth(VariableWidthBlock),
    Other,
}
impl DataBlock {
    pub fn as_variable_width_ref(&self) -> Option<&VariableWidthBlock> {
        match self {
            Self::VariableWidth(inner) => Some(inner),
            Self::Other => None,
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

fn adapt<T: OffsetSizeTrait>(
    table: &[u8],
    codes: &[u8],
    off: &[T],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Result<usize, FsstErr> {
    let (cap, n) = (out.len(), out_off.len());
    // SAFETY: an initialised slice seen as one that need not be.
    let out_off: &mut [MaybeUninit<T>] = unsafe { &mut *(ptr::from_mut(out_off) as *mut _) };
    let (mut bytes, mut offsets) = (vec_over(out, cap), vec_over(out_off, n));
    decompress(table, codes, off, &mut bytes, &mut offsets)?;
    Ok(bytes.len())
}

#[inline(never)]
pub fn decompress_i32(
    table: &[u8],
    codes: &[u8],
    off: &[i32],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Result<usize, FsstErr> {
    adapt(table, codes, off, out, out_off)
}

#[inline(never)]
pub fn decompress_i64(
    table: &[u8],
    codes: &[u8],
    off: &[i64],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> Result<usize, FsstErr> {
    adapt(table, codes, off, out, out_off)
}

/// The page's decompressor and builder exist once a page in Lance; here the builder's memory is
/// the caller's, already reserved, and the decompressor's one small box is made in each call.
#[inline(never)]
pub fn decode_chunk(
    table: &[u8],
    chunk: &[u8],
    num_values: u64,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Result<usize, FsstErr> {
    // SAFETY: both inputs outlive this call, and no buffer made here does.
    let (symbol_table, chunk) =
        unsafe { (LanceBuffer::borrowed(table), LanceBuffer::borrowed(chunk)) };
    let page = FsstMiniBlockDecompressor {
        symbol_table,
        inner_decompressor: Box::new(BinaryMiniBlockDecompressor::new(32).map_err(|e| e.0)?),
    };
    let values = page.decompress(vec![chunk], num_values).map_err(|e| e.0)?;
    out_off[0] = 0;
    // SAFETY: as in `adapt`.
    let out_off: &mut [MaybeUninit<i32>] = unsafe { &mut *(ptr::from_mut(out_off) as *mut _) };
    let mut builder = ManuallyDrop::new(VariableWidthDataBlockBuilder {
        offsets: ManuallyDrop::into_inner(vec_over(out_off, 1)),
        bytes: ManuallyDrop::into_inner(vec_over(out, 0)),
    });
    builder.append(&values, 0..num_values).map_err(|e| e.0)?;
    Ok(builder.bytes.len())
}
