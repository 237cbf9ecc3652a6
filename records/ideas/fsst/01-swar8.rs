// FSST strings: value by value as upstream, but eight codes at a time, and the chunk in one pass.
//
// Three changes. Eight codes are tested for an escape with a few word operations, and the eight
// symbols then stored one after the other; upstream tests four and has a branch for each place an
// escape may stand in. Symbols are read where they stand in the page's table instead of being
// copied (2 KiB a call). And a chunk is decoded straight into the builder's memory.
use prelude::{ArrowNativeType, FsstErr, OffsetSizeTrait};
use std::mem::MaybeUninit;

const TABLE: usize = 8 + 256 * 8 + 256;
const MAGIC: u64 = u32::from_be_bytes(*b"FSST") as u64;
const ESCAPE: u8 = 255;

struct Symbols<'a> {
    table: &'a [u8; TABLE],
    // 0 beyond the declared symbols, and for the escape itself.
    lens: [u8; 256],
}

// The table's size and magic, in the order in which upstream refuses them; is compression on?
#[inline(always)]
fn header(table: &[u8]) -> Result<(&[u8; TABLE], bool), FsstErr> {
    let table: &[u8; TABLE] = table.try_into().map_err(|_| FsstErr::InvalidInput)?;
    let head = u64::from_ne_bytes(*table.first_chunk().unwrap());
    // As upstream: all bits of the magic, not only them.
    if (head >> 32) & MAGIC != MAGIC {
        return Err(FsstErr::InvalidData);
    }
    Ok((table, head & (1 << 24) != 0))
}

impl<'a> Symbols<'a> {
    #[inline(always)]
    fn new(table: &'a [u8; TABLE]) -> Result<Self, FsstErr> {
        let n = table[0] as usize;
        let declared = &table[8 + 8 * n..][..n];
        // 0 wraps to 255: one comparison for both ends of 1..=8.
        if declared.iter().fold(0, |worst: u8, len| worst.max(len.wrapping_sub(1))) >= 8 {
            return Err(FsstErr::InvalidData);
        }
        let mut lens = [0; 256];
        lens[..n].copy_from_slice(declared);
        Ok(Self { table, lens })
    }

    // An undeclared code reads 8 bytes of something else in the table; its length is 0.
    #[inline(always)]
    fn symbol(&self, code: u8) -> u64 {
        let at = 8 + 8 * code as usize;
        // SAFETY: at most 8 + 8 * 255 + 8 = 2056 bytes into the table's 2312.
        unsafe { self.table.as_ptr().add(at).cast::<u64>().read_unaligned() }
    }

    #[inline(always)]
    fn len(&self, code: u8) -> usize {
        self.lens[code as usize] as usize
    }
}

// Bit 7 of every byte that is 255.
#[inline(always)]
fn escapes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // Per byte: bit 7 set, and adding 1 to the low seven bits carries.
    word & ((word & LOW) + (!LOW >> 7)) & !LOW
}

// Decodes one value and returns where the output ends; None: an escape without its byte.
//
// SAFETY: `out` takes 8 bytes for each code from here on: every code stores 8 bytes and advances
// by 8 at most.
#[inline(always)]
unsafe fn value(symbols: &Symbols, codes: &[u8], out: *mut u8, mut at: usize) -> Option<usize> {
    let store = |at: usize, symbol: u64| unsafe { out.add(at).cast::<u64>().write_unaligned(symbol) };
    let mut rest = codes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let found = escapes(word);
        // Symbols before the first escape; all eight where there is none.
        if found == 0 {
            for k in 0..8 {
                let code = (word >> (8 * k)) as u8;
                store(at, symbols.symbol(code));
                at += symbols.len(code);
            }
            rest = after;
            continue;
        }
        let plain = found.trailing_zeros() as usize / 8;
        for &code in &rest[..plain] {
            store(at, symbols.symbol(code));
            at += symbols.len(code);
        }
        store(at, *rest.get(plain + 1)? as u64);
        at += 1;
        rest = &rest[plain + 2..];
    }
    while let Some((&code, after)) = rest.split_first() {
        if code == ESCAPE {
            let (&literal, after) = after.split_first()?;
            store(at, literal as u64);
            at += 1;
            rest = after;
        } else {
            store(at, symbols.symbol(code));
            at += symbols.len(code);
            rest = after;
        }
    }
    Some(at)
}

// Decodes the codes of the values between offsets. `start(v)` is where offset `v` points in
// `codes`: rising, from 0 to `codes.len()`.
#[inline(always)]
fn values<T: OffsetSizeTrait>(
    symbols: &Symbols,
    codes: &[u8],
    start: impl Fn(usize) -> usize,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Result<usize, FsstErr> {
    assert!(out.len() >= 8 * codes.len());
    let Some((first, ends)) = out_off.split_first_mut() else { return Ok(0) };
    *first = T::zero();
    let mut at = 0;
    for (v, end) in ends.iter_mut().enumerate() {
        let codes = &codes[start(v)..start(v + 1)];
        // SAFETY: 8 bytes a code, and each code is decoded once.
        at = unsafe { value(symbols, codes, out.as_mut_ptr().cast(), at) }
            .ok_or(FsstErr::InvalidData)?;
        *end = T::usize_as(at);
    }
    if at > T::MAX_OFFSET { Err(FsstErr::InvalidData) } else { Ok(at) }
}

// A page whose compression was switched off: bytes as they are.
#[inline(always)]
fn copy(bytes: &[u8], out: &mut [MaybeUninit<u8>]) -> usize {
    out[..bytes.len()].write_copy_of_slice(bytes);
    bytes.len()
}

#[inline(always)]
fn decompress<T: OffsetSizeTrait>(
    table: &[u8],
    codes: &[u8],
    off: &[T],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Result<usize, FsstErr> {
    let (table, on) = header(table)?;
    let need = if on { codes.len().checked_mul(8) } else { Some(codes.len()) };
    if need.is_none_or(|need| need > out.len()) || off.len() > out_off.len() {
        return Err(FsstErr::InvalidInput);
    }
    let symbols = Symbols::new(table)?;
    let falls = off.windows(2).fold(false, |falls, pair| falls | (pair[1] < pair[0]));
    let (first, last) = match off {
        [] => (T::zero(), T::zero()),
        [first, ..] => (*first, off[off.len() - 1]),
    };
    if falls || first < T::zero() || last.as_usize() > codes.len() {
        return Err(FsstErr::InvalidData);
    }
    if !on {
        out_off[..off.len()].copy_from_slice(off);
        return Ok(copy(codes, out));
    }
    let (first, last) = (first.as_usize(), last.as_usize());
    let start = |v: usize| off[v].as_usize() - first;
    values(&symbols, &codes[first..last], start, out, &mut out_off[..off.len()])
}

#[inline(never)]
pub fn decompress_i32(
    table: &[u8],
    codes: &[u8],
    off: &[i32],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Result<usize, FsstErr> {
    decompress(table, codes, off, out, out_off)
}

#[inline(never)]
pub fn decompress_i64(
    table: &[u8],
    codes: &[u8],
    off: &[i64],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> Result<usize, FsstErr> {
    decompress(table, codes, off, out, out_off)
}

// The whole chain in one pass: Lance copies the codes out of the chunk, collects its offsets,
// zeroes eight times the room, decodes, and copies into the builder. Here the chunk's own offsets
// are checked where they stand and its codes decoded straight into the builder.
#[inline(never)]
pub fn decode_chunk(
    table: &[u8],
    chunk: &[u8],
    num_values: u64,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Result<usize, FsstErr> {
    let n = (num_values as usize).checked_add(1).ok_or(FsstErr::InvalidData)?;
    if !chunk.len().is_multiple_of(4) || chunk.len() / 4 < n {
        return Err(FsstErr::InvalidData);
    }
    let (ends, _) = chunk[..4 * n].as_chunks::<4>();
    let end = |v: usize| u32::from_le_bytes(ends[v]);
    let falls = (1..n).fold(false, |falls, v| falls | (end(v) < end(v - 1)));
    let (first, last) = (end(0) as usize, end(n - 1) as usize);
    if first < 4 * n || falls || last > chunk.len() {
        return Err(FsstErr::InvalidData);
    }
    let codes = &chunk[first..last];
    let (table, on) = header(table)?;
    let symbols = Symbols::new(table)?;
    let start = |v: usize| end(v) as usize - first;
    if !on {
        (0..n).for_each(|v| out_off[v] = start(v) as i32);
        return Ok(copy(codes, out));
    }
    values(&symbols, codes, start, out, &mut out_off[..n])
}
