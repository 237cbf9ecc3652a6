//! near miss: raw stores of whole symbols, behind a feature query, with prefetch

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

/// One symbol or byte after the other, eight bytes stored for each.
///
/// # Safety
/// `out` has 8 bytes from `at` on for each code, `t` is a checked table.
unsafe fn value(t: &[u8], codes: &[u8], out: &mut [MaybeUninit<u8>], mut at: usize) -> Sizes {
    let (n, mut i) = (usize::from(t[0]), 0);
    while i < codes.len() {
        let code = usize::from(codes[i]);
        // SAFETY: promised by the caller; symbols end before the lengths do.
        unsafe {
            let to = out.as_mut_ptr().add(at);
            match code {
                255 => {
                    i += 1;
                    to.cast::<u8>().write(*codes.get(i).ok_or(InvalidData)?);
                    at += 1;
                }
                _ if code < n => {
                    let symbol = t.as_ptr().add(8 + 8 * code).cast::<u64>().read_unaligned();
                    to.cast::<u64>().write_unaligned(symbol);
                    at += usize::from(*t.get_unchecked(8 + 8 * n + code));
                }
                _ => {}
            }
        }
        i += 1;
    }
    Ok(at)
}

/// The same, compiled for wider registers, with what comes next asked for early.
///
/// # Safety
/// As `value`, on a CPU with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn wide(t: &[u8], codes: &[u8], out: &mut [MaybeUninit<u8>], at: usize) -> Sizes {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch may name any address; the rest is promised by the caller.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(codes.as_ptr().wrapping_add(codes.len() + 256).cast());
        value(t, codes, out, at)
    }
}

fn either(t: &[u8], codes: &[u8], out: &mut [MaybeUninit<u8>], at: usize) -> Sizes {
    #[cfg(target_arch = "x86_64")]
    if lar_shim::has(lar_shim::Feature::Avx2) {
        // SAFETY: just asked; `checked` saw room for 8 bytes a code.
        return unsafe { wide(t, codes, out, at) };
    }
    // SAFETY: `checked` saw room for 8 bytes a code.
    unsafe { value(t, codes, out, at) }
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
        at = either(t, &c[from.as_usize()..to.as_usize()], out, at)?;
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
