use std::mem::MaybeUninit;

#[cfg(lar_control)]
use kernels::control::decode_chunk;
#[cfg(not(lar_control))]
use kernels::decode_chunk;

#[unsafe(no_mangle)]
pub fn lar_decompress_i32(
    table: &[u8],
    codes: &[u8],
    off: &[i32],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Option<usize> {
    kernels::decompress_i32(table, codes, off, out, out_off).ok()
}

#[unsafe(no_mangle)]
pub fn lar_decompress_i64(
    table: &[u8],
    codes: &[u8],
    off: &[i64],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> Option<usize> {
    kernels::decompress_i64(table, codes, off, out, out_off).ok()
}

#[unsafe(no_mangle)]
pub fn lar_decode_chunk(
    table: &[u8],
    chunk: &[u8],
    values: u64,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Option<usize> {
    decode_chunk(table, chunk, values, out, out_off).ok()
}
