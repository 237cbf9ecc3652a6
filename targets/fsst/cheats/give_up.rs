//! hack 42: panics on escapes and hopes that someone falls back to Lance; stopped by E
use prelude::{FsstErr, OffsetSizeTrait};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];

fn plain<T: OffsetSizeTrait>(t: &[u8], c: &[u8], off: &[T], out: Room, oo: &mut [T]) -> Result<usize, FsstErr> {
    let (n, mut at) = (t[0] as usize, 0);
    for v in 0..off.len() {
        oo[v] = T::usize_as(at);
        let Some(end) = off.get(v + 1) else { break };
        let mut i = off[v].as_usize();
        while i < end.as_usize() {
            let code = c[i] as usize;
            let symbol = if code == 255 { &c[i + 1..i + 2] } else { &t[8 + 8 * code..][..t[8 + 8 * n + code] as usize] };
            out[at..at + symbol.len()].write_copy_of_slice(symbol);
            (i, at) = (i + 1 + (code == 255) as usize, at + symbol.len());
        }
    }
    Ok(at)
}

fn decode<T: OffsetSizeTrait>(t: &[u8], c: &[u8], off: &[T], out: Room, oo: &mut [T]) -> Result<usize, FsstErr> {
    assert!(!c.contains(&255), "escapes are left to upstream");
    plain(t, c, off, out, oo)
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
