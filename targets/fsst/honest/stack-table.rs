//! near miss: tables of 2 KiB on the stack, half initialised, and a match on the length

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

/// What a code below the number of symbols writes when it is not there: nothing.
const ABSENT: [u8; 256] = [0; 256];

/// Symbols and lengths of a table, on the stack.
struct Symbols {
    words: [MaybeUninit<[u8; 8]>; 256],
    lens: [u8; 256],
}

impl Symbols {
    fn of(t: &[u8]) -> Self {
        let n = usize::from(t[0]);
        let mut made = Self { words: [const { MaybeUninit::uninit() }; 256], lens: ABSENT };
        let words = t[8..8 + 8 * n].as_chunks::<8>().0;
        made.words.iter_mut().zip(words).for_each(|(to, word)| _ = to.write(*word));
        made.lens[..n].copy_from_slice(&t[8 + 8 * n..][..n]);
        made
    }

    fn write(&self, code: u8, to: &mut [MaybeUninit<u8>]) -> usize {
        let len = usize::from(self.lens[usize::from(code)]);
        if len > 0 {
            // SAFETY: a length above 0 belongs to a word that was written.
            let word = unsafe { self.words[usize::from(code)].assume_init_ref() };
            to[..len].write_copy_of_slice(&word[..len]);
        }
        len
    }
}

fn value(s: &Symbols, codes: &[u8], out: &mut [MaybeUninit<u8>], mut at: usize) -> Sizes {
    // One code, two, a few, many: each its own loop.
    match codes {
        [] => Ok(at),
        [255] => Err(InvalidData),
        [255, byte] => {
            out[at].write(*byte);
            Ok(at + 1)
        }
        [code] => Ok(at + s.write(*code, &mut out[at..])),
        _ => {
            let mut i = 0;
            while i < codes.len() {
                if codes[i] == 255 {
                    i += 1;
                    out[at].write(*codes.get(i).ok_or(InvalidData)?);
                    at += 1;
                } else {
                    at += s.write(codes[i], &mut out[at..]);
                }
                i += 1;
            }
            Ok(at)
        }
    }
}

fn decode<T: OffsetSizeTrait>(t: &[u8], c: &[u8], off: &[T], out: Room, ends: &mut [T]) -> Sizes {
    if !checked(t, c, off, out.len(), ends.len())? {
        out[..c.len()].write_copy_of_slice(c);
        ends[..off.len()].copy_from_slice(off);
        return Ok(c.len());
    }
    let symbols = Symbols::of(t);
    let mut at = 0;
    for (v, &from) in off.iter().enumerate() {
        ends[v] = T::from_usize(at).ok_or(InvalidData)?;
        let Some(to) = off.get(v + 1) else { break };
        at = value(&symbols, &c[from.as_usize()..to.as_usize()], out, at)?;
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
