// FSST strings: one stream of symbols a chunk, value boundaries looked up afterwards.
//
// Upstream decodes value by value. Strings are short (7 codes for a name), so most of its time is
// the mispredicted end of each. Here the codes of all values are decoded as one stream, and a
// table of marks keeps where in the output each code began: `marks[code position] = output
// position`. An output offset is then one load, without a branch that depends on the data.
//
// Also: symbols are read where they stand in the page's table instead of being copied (2 KiB a
// call), eight codes are tested for an escape at once, and escapes are decoded without branches.
use prelude::{ArrowNativeType, FsstErr, OffsetSizeTrait};
use std::hint::select_unpredictable;
use std::mem::MaybeUninit;

const TABLE: usize = 8 + 256 * 8 + 256;
const MAGIC: u64 = u32::from_be_bytes(*b"FSST") as u64;
const ESCAPE: u8 = 255;
// Codes between two look-ups of boundaries. 8 x (BLOCK + 8) output bytes must stay below PAYLOAD.
const BLOCK: usize = 2048; // tune: 512 1024 2048 4000
// Mark of the literal byte after an escape: no value may end there.
const PAYLOAD: u16 = 1 << 15;

type Marks = [MaybeUninit<u16>; BLOCK + 8];

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

// Decodes whole symbols until BLOCK codes are done or the codes end, and marks where each began.
// Returns the codes consumed (at most BLOCK + 7) and the bytes written; None: a dangling escape.
//
// SAFETY: `out` takes 8 bytes for each of `codes`: a code advances by 8 at most, so the 8 bytes
// stored for the i-th begin at 8 i or before.
#[inline(always)]
unsafe fn decode(
    symbols: &Symbols,
    codes: &[u8],
    out: *mut u8,
    marks: &mut Marks,
) -> Option<(usize, usize)> {
    let (mut i, mut at) = (0, 0);
    // SAFETY of the three: `at <= 8 * i`, `i < BLOCK + 8` where a mark is set.
    let store = |at: usize, symbol: u64| unsafe { out.add(at).cast::<u64>().write_unaligned(symbol) };
    let marks = marks.as_mut_ptr().cast::<u16>();
    let mark = |i: usize, at: u16| unsafe { marks.add(i).write(at) };
    let stop = codes.len().min(BLOCK);
    while i < stop {
        let Some(word) = codes[i..].first_chunk::<8>() else { break };
        let word = u64::from_le_bytes(*word);
        if escapes(word) == 0 {
            for k in 0..8 {
                let code = (word >> (8 * k)) as u8;
                mark(i + k, at as u16);
                store(at, symbols.symbol(code));
                at += symbols.len(code);
            }
            i += 8;
        } else {
            // Four symbols are at most eight codes.
            let mut rest = word;
            for _ in 0..4 {
                let (code, next) = (rest as u8, (rest >> 8) as u8);
                let literal = code == ESCAPE;
                mark(i, at as u16);
                mark(i + 1, PAYLOAD); // the next symbol's own mark replaces it if there is none
                store(at, select_unpredictable(literal, next as u64, symbols.symbol(code)));
                at += select_unpredictable(literal, 1, symbols.len(code));
                rest = select_unpredictable(literal, rest >> 16, rest >> 8);
                i += 1 + literal as usize;
            }
        }
    }
    while i < stop {
        let code = codes[i];
        mark(i, at as u16);
        if code == ESCAPE {
            mark(i + 1, PAYLOAD);
            store(at, *codes.get(i + 1)? as u64);
            at += 1;
            i += 2;
        } else {
            store(at, symbols.symbol(code));
            at += symbols.len(code);
            i += 1;
        }
    }
    Some((i, at))
}

// Decodes the codes of `n` offsets. `start(v)` is where offset `v` points in `codes`: rising, from
// 0 to `codes.len()`.
#[inline(always)]
fn stream<T: OffsetSizeTrait>(
    symbols: &Symbols,
    codes: &[u8],
    start: impl Fn(usize) -> usize,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Result<usize, FsstErr> {
    assert!(out.len() >= 8 * codes.len());
    let mut marks: Marks = [MaybeUninit::uninit(); BLOCK + 8];
    let (mut v, mut i, mut total, mut seen) = (0, 0, 0, 0);
    while i < codes.len() {
        // SAFETY: the bytes written never exceed 8 a code, so 8 a code are left.
        let (used, bytes) =
            unsafe { decode(symbols, &codes[i..], out.as_mut_ptr().add(total).cast(), &mut marks) }
                .ok_or(FsstErr::InvalidData)?;
        while v < out_off.len() && start(v) < i + used {
            // SAFETY: all codes before `used` are marked, and offsets rise.
            let mark = unsafe { marks.get_unchecked(start(v) - i).assume_init() };
            seen |= mark;
            out_off[v] = T::usize_as(total + (mark & !PAYLOAD) as usize);
            v += 1;
        }
        i += used;
        total += bytes;
    }
    if seen & PAYLOAD != 0 || total > T::MAX_OFFSET {
        return Err(FsstErr::InvalidData);
    }
    out_off[v..].fill(T::usize_as(total));
    Ok(total)
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
    stream(&symbols, &codes[first..last], start, out, &mut out_off[..off.len()])
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
    stream(&symbols, codes, start, out, &mut out_off[..n])
}
