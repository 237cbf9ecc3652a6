//! Lance's call sites of this target: `fsst::decompress`, and in lance-encoding the decompressor of
//! a mini-block chunk of FSST strings. On an error Lance's own code runs after the kernel and says
//! what is wrong: a kernel knows the kind of an error only.

use crate::Slot;
use std::mem::MaybeUninit;

/// Table, codes, offsets, out, out offsets; the bytes written, or None for any error.
pub type Decompress<T> = fn(&[u8], &[u8], &[T], &mut [MaybeUninit<u8>], &mut [T]) -> Option<usize>;
/// Table, chunk, values, out of 8 bytes for a byte of the chunk, out offsets; as above.
pub type DecodeChunk = fn(&[u8], &[u8], u64, &mut [MaybeUninit<u8>], &mut [i32]) -> Option<usize>;

pub static DECOMPRESS_I32: Slot<Decompress<i32>> = Slot::new();
pub static DECOMPRESS_I64: Slot<Decompress<i64>> = Slot::new();
pub static DECODE_CHUNK: Slot<DecodeChunk> = Slot::new();

/// Decodes by the slot's function and sets the lengths of both outputs. False: Lance's code decodes.
#[inline]
pub fn decompress<T: Copy>(
    table: &[u8],
    codes: &[u8],
    offsets: &[T],
    out: &mut Vec<u8>,
    out_offsets: &mut Vec<T>,
) -> bool {
    // arrow's offsets are i32 or i64, which differ in size.
    let bytes = if size_of::<T>() == size_of::<i32>() {
        // SAFETY: `T` is i32.
        DECOMPRESS_I32
            .get()
            .and_then(|f| unsafe { run(f, table, codes, offsets, out, out_offsets) })
    } else {
        // SAFETY: `T` is i64.
        DECOMPRESS_I64
            .get()
            .and_then(|f| unsafe { run(f, table, codes, offsets, out, out_offsets) })
    };
    let Some(bytes) = bytes.filter(|&bytes| bytes <= out.len()) else { return false };
    out.truncate(bytes);
    out_offsets.truncate(offsets.len());
    true
}

/// # Safety
/// `T` is `N`.
#[inline]
unsafe fn run<T, N>(
    function: Decompress<N>,
    table: &[u8],
    codes: &[u8],
    offsets: &[T],
    out: &mut [u8],
    out_offsets: &mut [T],
) -> Option<usize> {
    // SAFETY: by the caller; and bytes that are written once are as good as bytes that never were.
    unsafe {
        function(
            table,
            codes,
            std::slice::from_raw_parts(offsets.as_ptr().cast(), offsets.len()),
            std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), out.len()),
            std::slice::from_raw_parts_mut(out_offsets.as_mut_ptr().cast(), out_offsets.len()),
        )
    }
}

/// A chunk's bytes and its `values + 1` offsets by the slot's function. None: Lance's code decodes.
#[inline]
pub fn decode_chunk(table: &[u8], chunk: &[u8], values: u64) -> Option<(Vec<u8>, Vec<i32>)> {
    let function = DECODE_CHUNK.get()?;
    let count = usize::try_from(values).ok()?.checked_add(1)?;
    if count > chunk.len() {
        return None; // four bytes an offset: corrupt, and Lance says so
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(8 * chunk.len());
    let mut offsets = vec![0; count];
    let room = bytes.spare_capacity_mut();
    let written = function(table, chunk, values, room, &mut offsets)?;
    if written > bytes.capacity() {
        return None;
    }
    // SAFETY: the function wrote them.
    unsafe { bytes.set_len(written) };
    Some((bytes, offsets))
}
