//! near miss: inner functions, generics, early returns, debug assertions

use FsstErr::{InvalidData, InvalidInput};
use prelude::{FsstErr, OffsetSizeTrait};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Sizes = Result<usize, FsstErr>;

/// True where the codes are compressed; every other answer is an error or a plain copy.
fn checked<T: OffsetSizeTrait>(t: &[u8], c: &[u8], off: &[T], room: usize, ends: usize) -> Result<bool, FsstErr> {
    const MAGIC: u64 = 0x4653_5354 << 32;
    if t.len() != 2312 {
        return Err(InvalidInput);
    }
    let head = u64::from_le_bytes(*t.first_chunk().ok_or(InvalidInput)?);
    if head & MAGIC != MAGIC {
        return Err(InvalidData);
    }
    let (on, n) = (head >> 24 & 1 == 1, usize::from(head as u8));
    if room < c.len() * if on { 8 } else { 1 } || ends < off.len() {
        return Err(InvalidInput);
    }
    let mut least = 0;
    for end in off {
        let end = end.to_usize().filter(|end| (least..=c.len()).contains(end)).ok_or(InvalidData)?;
        least = end;
    }
    let sound = t[8 + 8 * n..][..n].iter().all(|len| (1..=8).contains(len));
    if sound { Ok(on) } else { Err(InvalidData) }
}

fn value(t: &[u8], codes: &[u8], out: &mut [MaybeUninit<u8>], mut at: usize) -> Sizes {
    /// The symbol of a code below the number of symbols.
    fn symbol(t: &[u8], code: usize) -> &[u8] {
        let len = t[8 + 8 * usize::from(t[0]) + code];
        debug_assert!((1..=8).contains(&len), "checked before");
        &t[8 + 8 * code..][..usize::from(len)]
    }
    let mut rest = codes.iter();
    while let Some(&code) = rest.next() {
        let piece = match usize::from(code) {
            255 => std::slice::from_ref(rest.next().ok_or(InvalidData)?),
            code if code < usize::from(t[0]) => symbol(t, code),
            _ => continue,
        };
        out[at..at + piece.len()].write_copy_of_slice(piece);
        at += piece.len();
    }
    Ok(at)
}

fn decode<T: OffsetSizeTrait>(t: &[u8], c: &[u8], off: &[T], out: Room, ends: &mut [T]) -> Sizes {
    if !checked(t, c, off, out.len(), ends.len())? {
        out[..c.len()].write_copy_of_slice(c);
        ends[..off.len()].copy_from_slice(off);
        return Ok(c.len());
    }
    let mut at = 0;
    for (v, &from) in off.iter().enumerate() {
        ends[v] = T::from_usize(at).ok_or(InvalidData)?;
        let Some(to) = off.get(v + 1) else { break };
        at = value(t, &c[from.as_usize()..to.as_usize()], out, at)?;
    }
    Ok(at)
}

pub fn decompress_i32(t: &[u8], c: &[u8], off: &[i32], out: Room, ends: &mut [i32]) -> Sizes {
    decode(t, c, off, out, ends)
}

pub fn decompress_i64(t: &[u8], c: &[u8], off: &[i64], out: Room, ends: &mut [i64]) -> Sizes {
    decode(t, c, off, out, ends)
}

pub fn decode_chunk(t: &[u8], chunk: &[u8], n: u64, out: Room, ends: &mut [i32]) -> Sizes {
    let (words, rest) = chunk.as_chunks::<4>();
    if !rest.is_empty() || words.len() as u64 <= n {
        return Err(InvalidData);
    }
    let words = &words[..=n as usize];
    let first = u32::from_le_bytes(words[0]);
    let (mut last, mut off) = (first, Vec::with_capacity(words.len()));
    for word in words {
        let at = u32::from_le_bytes(*word);
        if at < last {
            return Err(InvalidData);
        }
        last = at;
        off.push((at - first) as i32);
    }
    if (first as usize) < 4 * words.len() || last as usize > chunk.len() {
        return Err(InvalidData);
    }
    decode(t, &chunk[first as usize..last as usize], &off, out, ends)
}
