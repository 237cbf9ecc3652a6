//! Lance's calls: `fsst::decompress` on the codes of one mini-block chunk, and the whole chunk.
//!
//! decompress_i32, decompress_i64   table, codes, offsets -> bytes, offsets
//! decode_chunk                     table, chunk, [num_values] -> bytes, offsets
use lar_shim::Call;
use prelude::FsstErr;

/// On success the bytes written and all offsets count; on failure only its kind does.
fn finish(call: &mut Call, result: Result<usize, FsstErr>, offsets: usize) {
    match result {
        Ok(bytes) => {
            call.set_len(0, bytes);
            call.set_len(1, offsets);
        }
        Err(kind) => call.fail(kind as u64),
    }
}

pub fn decompress_i32(call: &mut Call) {
    let (table, codes, off) = (call.bytes(0), call.bytes(1), call.i32s(2));
    let (out, out_off) = (call.out_uninit(0), call.out_i32s(1));
    let result = kernels::decompress_i32(table, codes, off, out, out_off);
    finish(call, result, size_of_val(off));
}

pub fn decompress_i64(call: &mut Call) {
    let (table, codes, off) = (call.bytes(0), call.bytes(1), call.i64s(2));
    let (out, out_off) = (call.out_uninit(0), call.out_i64s(1));
    let result = kernels::decompress_i64(table, codes, off, out, out_off);
    finish(call, result, size_of_val(off));
}

/// The builder has room for the worst case, 8 bytes a code, before the chunk is decoded: a
/// kernel may count on `out.len() >= 8 * chunk.len()` and `out_off.len() == num_values + 1`.
pub fn decode_chunk(call: &mut Call) {
    let (table, chunk, n) = (call.bytes(0), call.bytes(1), call.u64(2));
    let (out, out_off) = (call.out_uninit(0), call.out_i32s(1));
    if out.len() < 8 * chunk.len() || out_off.len() as u64 <= n {
        return call.fail(FsstErr::InvalidInput as u64);
    }
    let out_off = &mut out_off[..=n as usize];
    let offsets = size_of_val(out_off);
    let result = kernels::decode_chunk(table, chunk, n, out, out_off);
    finish(call, result, offsets);
}

lar_shim::ops!(decompress_i32, decompress_i64, decode_chunk);
