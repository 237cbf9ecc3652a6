//! Lance's call: `DictionaryDataBlock::decode` on the rows of one batch.
//!
//! decode_i32, decode_i64   [bits of a key], keys, [items], offsets, data -> bytes, offsets
//! decode_fixed             [bits of a key], keys, [items], [bytes of an item], data -> bytes
use lar_shim::{Call, Inputs};
use prelude::{DictErr, Keys};

fn keys<'a>(call: &Inputs<'a>) -> Keys<'a> {
    match call.u64(0) {
        8 => Keys::U8(call.bytes(1)),
        16 => Keys::U16(call.u16s(1)),
        32 => Keys::U32(call.u32s(1)),
        64 => Keys::U64(call.u64s(1)),
        bits => panic!("contract: keys of {bits} bits"),
    }
}

/// On success the bytes written and all offsets count; on failure only its kind does. A batch
/// without rows has no offsets either: Lance answers with a block of nulls.
fn finish(call: &mut Call, result: Result<usize, DictErr>, offsets: Option<usize>) {
    match result {
        Ok(bytes) => {
            call.set_len(0, bytes);
            if let Some(offsets) = offsets {
                call.set_len(1, offsets);
            }
        }
        Err(kind) => call.fail(kind as u64),
    }
}

/// `out` has room for what all rows need and `SLACK` bytes more, unless Lance refuses the batch;
/// `out_off` has room for exactly one offset more than there are rows.
pub fn decode_i32(call: &mut Call) {
    let (keys, items, off, data) = (keys(call), call.u64(2), call.i32s(3), call.bytes(4));
    let (out, out_off) = (call.out_uninit(0), call.out_i32s(1));
    let offsets = if keys.is_empty() { 0 } else { size_of_val(out_off) };
    let result = kernels::decode_i32(keys, items, off, data, out, out_off);
    finish(call, result, Some(offsets));
}

pub fn decode_i64(call: &mut Call) {
    let (keys, items, off, data) = (keys(call), call.u64(2), call.i64s(3), call.bytes(4));
    let (out, out_off) = (call.out_uninit(0), call.out_i64s(1));
    let offsets = if keys.is_empty() { 0 } else { size_of_val(out_off) };
    let result = kernels::decode_i64(keys, items, off, data, out, out_off);
    finish(call, result, Some(offsets));
}

pub fn decode_fixed(call: &mut Call) {
    let (keys, items, width) = (keys(call), call.u64(2), call.u64(3) as usize);
    let (data, out) = (call.bytes(4), call.out_uninit(0));
    let result = kernels::decode_fixed(keys, items, width, data, out);
    finish(call, result, None);
}

lar_shim::ops!(decode_i32, decode_i64, decode_fixed);
