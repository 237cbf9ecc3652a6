//! Fills the slots of this target with functions of a library, counted on the way.

use lar_hook::fsst::{DECODE_CHUNK, DECOMPRESS_I32, DECOMPRESS_I64, DecodeChunk, Decompress};
use lar_serve::{Library, Op, Watched};
use std::mem::MaybeUninit;

static NARROW: Op<Decompress<i32>> = Op::new("decompress_i32", ["codes", "codes a value"]);
static WIDE: Op<Decompress<i64>> = Op::new("decompress_i64", ["codes", "codes a value"]);
static CHUNK: Op<DecodeChunk> = Op::new("decode_chunk", ["chunk bytes", "values"]);

fn mean(bytes: usize, offsets: usize) -> usize {
    bytes / offsets.saturating_sub(1).max(1)
}

fn narrow(
    table: &[u8],
    codes: &[u8],
    off: &[i32],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Option<usize> {
    let dims = [codes.len(), mean(codes.len(), off.len())];
    NARROW.run(dims, |kernel| kernel(table, codes, off, out, out_off))
}

fn wide(
    table: &[u8],
    codes: &[u8],
    off: &[i64],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> Option<usize> {
    let dims = [codes.len(), mean(codes.len(), off.len())];
    WIDE.run(dims, |kernel| kernel(table, codes, off, out, out_off))
}

fn chunk(
    table: &[u8],
    chunk: &[u8],
    values: u64,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Option<usize> {
    let dims = [chunk.len(), values as usize];
    CHUNK.run(dims, |kernel| kernel(table, chunk, values, out, out_off))
}

pub fn install(library: &Library) -> Result<Vec<&'static dyn Watched>, String> {
    let mut taken: Vec<&'static dyn Watched> = Vec::new();
    // SAFETY: the library's glue.rs gives these names to functions of these types.
    unsafe {
        if library.take("decompress_i32", &NARROW)? {
            DECOMPRESS_I32.fill(narrow);
            taken.push(&NARROW);
        }
        if library.take("decompress_i64", &WIDE)? {
            DECOMPRESS_I64.fill(wide);
            taken.push(&WIDE);
        }
        if library.take("decode_chunk", &CHUNK)? {
            DECODE_CHUNK.fill(chunk);
            taken.push(&CHUNK);
        }
    }
    Ok(taken)
}
