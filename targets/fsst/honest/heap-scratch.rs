//! near miss: scratch on the heap for every value

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

/// Pieces of one value: where each comes from in the table or the codes, on the heap.
#[derive(Clone, Copy)]
enum Piece {
    Symbol(u8),
    Byte(u8),
}

fn value(t: &[u8], codes: &[u8], out: &mut [MaybeUninit<u8>], mut at: usize) -> Sizes {
    let mut pieces: Vec<Piece> = Vec::with_capacity(codes.len());
    let mut rest = codes.iter().copied();
    while let Some(code) = rest.next() {
        pieces.push(match code {
            255 => Piece::Byte(rest.next().ok_or(InvalidData)?),
            code => Piece::Symbol(code),
        });
    }
    let n = usize::from(t[0]);
    for piece in &pieces {
        match *piece {
            Piece::Byte(byte) => {
                out[at].write(byte);
                at += 1;
            }
            Piece::Symbol(code) if usize::from(code) < n => {
                let len = usize::from(t[8 + 8 * n + usize::from(code)]);
                out[at..at + len].write_copy_of_slice(&t[8 + 8 * usize::from(code)..][..len]);
                at += len;
            }
            Piece::Symbol(_) => {}
        }
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
