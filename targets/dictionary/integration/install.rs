//! Fills the slots of this target with functions of a library, counted on the way.

use lar_hook::dictionary::{DECODE_FIXED, DECODE_I32, DECODE_I64, Decode, DecodeFixed};
use lar_serve::{Library, Op, Watched};
use std::mem::MaybeUninit;

static NARROW: Op<Decode<i32>> = Op::new("decode_i32", ["rows", "items"]);
static WIDE: Op<Decode<i64>> = Op::new("decode_i64", ["rows", "items"]);
static FIXED: Op<DecodeFixed> = Op::new("decode_fixed", ["rows", "items"]);

fn narrow(
    bits: u64,
    keys: &[u8],
    items: u64,
    off: &[i32],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Option<usize> {
    let dims = [out_off.len() - 1, items as usize];
    NARROW.run(dims, |kernel| kernel(bits, keys, items, off, data, out, out_off))
}

fn wide(
    bits: u64,
    keys: &[u8],
    items: u64,
    off: &[i64],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> Option<usize> {
    let dims = [out_off.len() - 1, items as usize];
    WIDE.run(dims, |kernel| kernel(bits, keys, items, off, data, out, out_off))
}

fn fixed(
    bits: u64,
    keys: &[u8],
    items: u64,
    width: usize,
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
) -> Option<usize> {
    let dims = [keys.len() / (bits / 8) as usize, items as usize];
    FIXED.run(dims, |kernel| kernel(bits, keys, items, width, data, out))
}

pub fn install(library: &Library) -> Result<Vec<&'static dyn Watched>, String> {
    let mut taken: Vec<&'static dyn Watched> = Vec::new();
    // SAFETY: the library's glue.rs gives these names to functions of these types.
    unsafe {
        if library.take("decode_i32", &NARROW)? {
            DECODE_I32.fill(narrow);
            taken.push(&NARROW);
        }
        if library.take("decode_i64", &WIDE)? {
            DECODE_I64.fill(wide);
            taken.push(&WIDE);
        }
        if library.take("decode_fixed", &FIXED)? {
            DECODE_FIXED.fill(fixed);
            taken.push(&FIXED);
        }
    }
    Ok(taken)
}
