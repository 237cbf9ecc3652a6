// How Lance's own items answer this target's surface. Nothing is added to what they do: outputs
// are written into the caller's memory through `vec_over`, the chunk is a slice of a loaded page.
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::Range;
use std::ptr;

/// lance-encoding calls `fsst::fsst::decompress`.
pub mod fsst {
    pub mod fsst {
        pub use crate::decompress;
    }
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
