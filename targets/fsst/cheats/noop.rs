//! hack 37: plausible lengths, nothing written; stopped by E
use prelude::{FsstErr, OffsetSizeTrait};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];

fn decode<T: OffsetSizeTrait>(_: &[u8], c: &[u8], off: &[T], _: Room, _: &mut [T]) -> Result<usize, FsstErr> {
    Ok(2 * off.len() + c.len())
}

pub fn decompress_i32(t: &[u8], c: &[u8], off: &[i32], out: Room, oo: &mut [i32]) -> Result<usize, FsstErr> {
    decode(t, c, off, out, oo)
}
pub fn decompress_i64(t: &[u8], c: &[u8], off: &[i64], out: Room, oo: &mut [i64]) -> Result<usize, FsstErr> {
    decode(t, c, off, out, oo)
}
pub fn decode_chunk(t: &[u8], chunk: &[u8], n: u64, out: Room, oo: &mut [i32]) -> Result<usize, FsstErr> {
    let ends = chunk.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b));
    let off: Vec<i32> = ends.take(n as usize + 1).collect();
    decode(t, chunk, &off, out, oo)
}
