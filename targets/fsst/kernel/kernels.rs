// FSST strings: 64 codes at a time where there is AVX-512, else one stream of eight at a time.
//
// Lance decodes value by value. Strings are short (7 codes for a name), so most of its time is the
// mispredicted end of each. Here the codes of all values are one stream; marks tell where in the
// output a code began, and a value's offset is a mark and the lengths of at most three codes.
//
//   portable   eight codes are tested for an escape at once, then decoded one after the other; a
//              column of escapes goes value by value, since there each branch is a good guess
//   SSE4.2     the same, but two symbols are joined in a register and stored at once: most of the
//              time that is left is stores
//   AVX-512    module `wide`
//
// Nothing is copied, zeroed or collected on the way: symbols, codes and a chunk's offsets are read
// where they stand.
use prelude::{ArrowNativeType, FsstErr, OffsetSizeTrait};
use std::mem::MaybeUninit;

const SYMBOLS: usize = 8;
const TABLE: usize = SYMBOLS + 256 * 8 + 256;
const MAGIC: u64 = u32::from_be_bytes(*b"FSST") as u64;
const ESCAPE: u8 = 255;

// A page's symbol table, read where it stands; only the lengths are copied.
struct Symbols<'a> {
    table: &'a [u8; TABLE],
    lens: [u8; 256], // 0 for codes that stand for nothing, the escape among them
}

// Size and magic, in the order in which Lance refuses them. Is compression on?
#[inline(always)]
fn header(table: &[u8]) -> Result<(&[u8; TABLE], bool), FsstErr> {
    let table: &[u8; TABLE] = table.try_into().map_err(|_| FsstErr::InvalidInput)?;
    let head = u64::from_ne_bytes(*table.first_chunk().unwrap());
    // All bits of the magic must be set; more may be.
    if (head >> 32) & MAGIC != MAGIC {
        return Err(FsstErr::InvalidData);
    }
    Ok((table, head & (1 << 24) != 0))
}

// The lengths of all codes, 0 for those that stand for nothing, the escape among them.
#[inline(always)]
fn lengths(table: &[u8; TABLE], lens: &mut [u8; 256]) -> Result<(), FsstErr> {
    let n = table[0];
    let declared = &table[SYMBOLS + 8 * n as usize..][..n as usize];
    // 0 wraps to 255, so one comparison finds both ends of 1..=8.
    if declared.iter().fold(0, |worst: u8, len| worst.max(len.wrapping_sub(1))) >= 8 {
        return Err(FsstErr::InvalidData);
    }
    lens[..n as usize].copy_from_slice(declared);
    Ok(())
}

// Whether an offset is below the one before it.
#[inline(always)]
fn falls<T: OffsetSizeTrait>(off: &[T]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if wide::here() {
        // SAFETY: the CPU has what it takes.
        return unsafe {
            match size_of::<T>() {
                4 => wide::falls::<4>(off.as_ptr().cast(), off.len()),
                _ => wide::falls::<8>(off.as_ptr().cast(), off.len()),
            }
        };
    }
    off.windows(2).fold(false, |falls, pair| falls | (pair[1] < pair[0]))
}

impl Symbols<'_> {
    // 8 bytes, of which the code's length counts. An undeclared code reads other parts of the table.
    #[inline(always)]
    fn symbol(&self, code: u8) -> u64 {
        // SAFETY: `place` is followed by 8 bytes.
        unsafe { self.place(code).cast::<u64>().read_unaligned() }
    }

    #[inline(always)]
    fn place(&self, code: u8) -> *const u8 {
        // The symbol ends at most 8 + 8 * 256 bytes into the table's 2312.
        self.table[SYMBOLS + 8 * code as usize..].as_ptr()
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
    // Per byte: bit 7 set, and adding 1 to the low seven bits carries into it.
    word & ((word & LOW) + (!LOW >> 7)) & !LOW
}

// Codes between two look-ups of boundaries. A mark counts output bytes from the block's first one.
const BLOCK: usize = 2048;
// Flag of a mark: there are escapes among its eight codes.
const MIXED: u32 = 1 << 31;
// Flag of a mark: its code is the literal byte of an escape. No value may begin there.
const LITERAL: u32 = 1 << 30;

// Codes of a mark. A store for each code pays only where a value has few codes.
const OFTEN: usize = 1;
const SELDOM: usize = 4;
const FEW_CODES: usize = 12;

// Decodes the codes of `n` offsets by the best way there is. `start(v)` is where offset `v` points
// in `codes`: rising, from 0 to `codes.len()`.
#[inline(always)]
fn values<T: OffsetSizeTrait>(
    table: &[u8; TABLE],
    codes: &[u8],
    start: impl Fn(usize) -> usize,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Result<usize, FsstErr> {
    #[cfg(target_arch = "x86_64")]
    if wide::here() {
        // SAFETY: the CPU has what it takes.
        return unsafe { wide::values(table, codes, start, out, out_off) };
    }
    let mut symbols = Symbols { table, lens: [0; 256] };
    lengths(table, &mut symbols.lens)?;
    // 64 codes tell escaped data from text; counted in bytes, this is a handful of instructions.
    if let Some(sample) = codes.first_chunk::<64>()
        && sample.iter().fold(0u8, |n, code| n + (*code == ESCAPE) as u8) >= 16
    {
        return one_by_one(&symbols, codes, start, out, out_off);
    }
    let short = codes.len() < FEW_CODES * out_off.len();
    #[cfg(target_arch = "x86_64")]
    if pairs::here() {
        // SAFETY: the CPU has what it takes.
        return unsafe {
            match short {
                true => pairs::stream::<OFTEN, T>(&symbols, codes, start, out, out_off),
                false => pairs::stream::<SELDOM, T>(&symbols, codes, start, out, out_off),
            }
        };
    }
    match short {
        true => stream::<OFTEN, T>(&symbols, codes, start, out, out_off, store_two),
        false => stream::<SELDOM, T>(&symbols, codes, start, out, out_off, store_two),
    }
}

// Decodes the codes of `n` offsets as one stream, eight at a time; `two` stores the symbols of two
// codes. A block is decoded first; then the offsets that lie in it are looked up. `start(v)` is
// where offset `v` points in `codes`: rising, from 0 to `codes.len()`.
#[inline(always)]
fn stream<const STEP: usize, T: OffsetSizeTrait>(
    symbols: &Symbols,
    codes: &[u8],
    start: impl Fn(usize) -> usize,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
    two: impl Fn(&Symbols, [u8; 2], usize, *mut u8),
) -> Result<usize, FsstErr> {
    assert!(out.len() >= 8 * codes.len());
    let out = out.as_mut_ptr().cast::<u8>();
    let mut marks = [const { MaybeUninit::uninit() }; BLOCK];
    let (words, rest) = codes.as_chunks::<8>();
    // `literal`: the last code was an escape, the next one is a byte as it is.
    let (mut v, mut at, mut literal) = (0, 0, false);
    for (b, words) in words.chunks(BLOCK / 8).enumerate() {
        let begin = at;
        for (word, marks) in words.iter().zip(marks.chunks_exact_mut(8 / STEP)) {
            let codes = u64::from_le_bytes(*word);
            // SAFETY: a code advances the output by 8 at most, so 8 a code are left.
            if escapes(codes) == 0 && !literal {
                at = unsafe { eight::<STEP>(symbols, codes, out, at, begin, marks, &two) };
            } else {
                (at, literal) =
                    unsafe { mixed::<STEP>(symbols, word, out, (at, literal), begin, marks) };
            }
        }
        let codes = words.as_flattened();
        while v < out_off.len() {
            let place = start(v) - b * BLOCK;
            if place >= codes.len() {
                break;
            }
            // SAFETY: all of the block's codes are marked.
            let mark = unsafe { marks[place / STEP].assume_init() };
            let group = codes[place / STEP * STEP..].first_chunk().unwrap();
            let bytes = bytes_before::<STEP>(symbols, mark, group, place % STEP)?;
            out_off[v] = T::usize_as(begin + bytes);
            v += 1;
        }
    }
    for (i, &code) in (codes.len() - rest.len()..).zip(rest) {
        while v < out_off.len() && start(v) == i {
            if literal {
                return Err(FsstErr::InvalidData);
            }
            out_off[v] = T::usize_as(at);
            v += 1;
        }
        // SAFETY: as above.
        (at, literal) = unsafe { one(symbols, code, out, (at, literal)) };
    }
    if literal || at > T::MAX_OFFSET {
        return Err(FsstErr::InvalidData);
    }
    out_off[v..].fill(T::usize_as(at));
    Ok(at)
}

// Bytes from the block's begin to the code at `place` of a mark's `group`.
#[inline(always)]
fn bytes_before<const STEP: usize>(
    symbols: &Symbols,
    mark: u32,
    group: &[u8; STEP],
    place: usize,
) -> Result<usize, FsstErr> {
    let bytes = (mark & !(MIXED | LITERAL)) as usize;
    if mark & MIXED != 0 {
        return Ok(bytes + bytes_of_mixed(symbols, &group[..place], mark & LITERAL != 0)?);
    }
    // Codes from `place` on are made escapes, whose length is 0: a branch on each would be a guess.
    let mut codes = [0; 8];
    codes[..STEP].copy_from_slice(group);
    let codes = u64::from_le_bytes(codes) | u64::MAX << (8 * place);
    let within = (0..STEP - 1).map(|k| symbols.len((codes >> (8 * k)) as u8));
    Ok(bytes + within.sum::<usize>())
}

// Bytes of `codes`, the first of them perhaps a literal; an error if they end with an escape.
#[cold]
fn bytes_of_mixed(symbols: &Symbols, codes: &[u8], literal: bool) -> Result<usize, FsstErr> {
    let (mut bytes, mut literal) = (0, literal);
    for &code in codes {
        bytes += if literal { 1 } else { symbols.len(code) };
        literal = !literal && code == ESCAPE;
    }
    if literal { Err(FsstErr::InvalidData) } else { Ok(bytes) }
}

// Decodes eight codes without an escape among them; where the output ends then.
//
// SAFETY: `out` takes 8 bytes for each code from `at` on.
#[inline(always)]
unsafe fn eight<const STEP: usize>(
    symbols: &Symbols,
    codes: u64,
    out: *mut u8,
    mut at: usize,
    begin: usize,
    marks: &mut [MaybeUninit<u32>],
    two: impl Fn(&Symbols, [u8; 2], usize, *mut u8),
) -> usize {
    let mut mark = |k: usize, at: usize| {
        if k % STEP == 0 {
            // SAFETY: there is a mark for each STEP of the eight codes. Volatile: else the compiler
            // collects marks in a vector, which costs more than stores.
            let mark = unsafe { marks.get_unchecked_mut(k / STEP) };
            unsafe { mark.as_mut_ptr().write_volatile((at - begin) as u32) };
        }
    };
    for pair in 0..4 {
        let (a, b) = ((codes >> (16 * pair)) as u8, (codes >> (16 * pair + 8)) as u8);
        let len = symbols.len(a);
        mark(2 * pair, at);
        mark(2 * pair + 1, at + len);
        // SAFETY: promised by the caller.
        two(symbols, [a, b], len, unsafe { out.add(at) });
        at += len + symbols.len(b);
    }
    at
}

// Decodes eight codes one by one; where the output ends then, and whether a literal comes next.
//
// SAFETY: as for `eight`.
#[cold]
#[inline(never)]
unsafe fn mixed<const STEP: usize>(
    symbols: &Symbols,
    codes: &[u8; 8],
    out: *mut u8,
    (mut at, mut literal): (usize, bool),
    begin: usize,
    marks: &mut [MaybeUninit<u32>],
) -> (usize, bool) {
    for (k, &code) in codes.iter().enumerate() {
        if k % STEP == 0 {
            let flags = if literal { MIXED | LITERAL } else { MIXED };
            marks[k / STEP].write((at - begin) as u32 | flags);
        }
        // SAFETY: promised by the caller.
        (at, literal) = unsafe { one(symbols, code, out, (at, literal)) };
    }
    (at, literal)
}

// Decodes one code, or takes it as it is: `literal`.
//
// SAFETY: `out` takes 8 bytes from `at` on.
#[inline(always)]
unsafe fn one(
    symbols: &Symbols,
    code: u8,
    out: *mut u8,
    (at, literal): (usize, bool),
) -> (usize, bool) {
    // SAFETY: promised by the caller.
    let place = unsafe { out.add(at) };
    if literal {
        unsafe { place.write(code) };
        return (at + 1, false);
    }
    unsafe { place.cast::<u64>().write_unaligned(symbols.symbol(code)) };
    (at + symbols.len(code), code == ESCAPE)
}

// Stores the symbols of two codes, `len` bytes of the first. `place` takes 16 bytes.
#[inline(always)]
fn store_two(symbols: &Symbols, [a, b]: [u8; 2], len: usize, place: *mut u8) {
    // SAFETY: a length is 8 at most.
    unsafe {
        place.cast::<u64>().write_unaligned(symbols.symbol(a));
        place.add(len).cast::<u64>().write_unaligned(symbols.symbol(b));
    }
}

// Decodes value by value, code by code: best where most bytes are escaped, since then the branch
// on an escape is a good guess. `start(v)` is where offset `v` points in
// `codes`: rising, from 0 to `codes.len()`.
#[inline(never)]
fn one_by_one<T: OffsetSizeTrait>(
    symbols: &Symbols,
    codes: &[u8],
    start: impl Fn(usize) -> usize,
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [T],
) -> Result<usize, FsstErr> {
    assert!(out.len() >= 8 * codes.len());
    let out = out.as_mut_ptr().cast::<u8>();
    let Some((first, rest)) = out_off.split_first_mut() else { return Ok(0) };
    *first = T::zero();
    let (mut i, mut at) = (0, 0);
    for (v, end_at) in rest.iter_mut().enumerate() {
        let value = &codes[..start(v + 1)];
        while i < value.len() {
            let code = value[i];
            // SAFETY of both stores: a code advances `at` by 8 at most, so `at <= 8 * i`.
            if code == ESCAPE {
                let literal = *value.get(i + 1).ok_or(FsstErr::InvalidData)?;
                unsafe { out.add(at).write(literal) };
                (i, at) = (i + 2, at + 1);
            } else {
                unsafe { out.add(at).cast::<u64>().write_unaligned(symbols.symbol(code)) };
                (i, at) = (i + 1, at + symbols.len(code));
            }
        }
        *end_at = T::usize_as(at);
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
    let falls = falls(off);
    let (first, last) = match off {
        [] => (T::zero(), T::zero()),
        [first, ..] => (*first, off[off.len() - 1]),
    };
    if falls || first < T::zero() || last.as_usize() > codes.len() {
        return Err(FsstErr::InvalidData);
    }
    if !on {
        lengths(table, &mut [0; 256])?;
        out_off[..off.len()].copy_from_slice(off);
        return Ok(copy(codes, out));
    }
    let (first, last) = (first.as_usize(), last.as_usize());
    let start = |v: usize| off[v].as_usize() - first;
    values(table, &codes[first..last], start, out, &mut out_off[..off.len()])
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

// Whether an offset of a chunk is below the one before it.
#[inline(always)]
fn chunk_falls(off: &[[u8; 4]]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if wide::here() {
        // SAFETY: the CPU has what it takes.
        return unsafe { wide::falls::<4>(off.as_ptr().cast(), off.len()) };
    }
    let at = |v: usize| u32::from_le_bytes(off[v]);
    (1..off.len()).fold(false, |falls, v| falls | (at(v) < at(v - 1)))
}

// One pass from the chunk to the builder: its offsets are checked where they stand, its codes
// decoded where they stand, nothing is copied, zeroed or collected on the way.
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
    let (off, _) = chunk[..4 * n].as_chunks::<4>();
    let at = |v: usize| u32::from_le_bytes(off[v]);
    let falls = chunk_falls(off);
    let (first, last) = (at(0) as usize, at(n - 1) as usize);
    if first < 4 * n || falls || last > chunk.len() {
        return Err(FsstErr::InvalidData);
    }
    let codes = &chunk[first..last];
    let (table, on) = header(table)?;
    let start = |v: usize| at(v) as usize - first;
    if !on {
        lengths(table, &mut [0; 256])?;
        (0..n).for_each(|v| out_off[v] = start(v) as i32);
        return Ok(copy(codes, out));
    }
    values(table, codes, start, out, &mut out_off[..n])
}

// Two symbols joined by a byte shuffle and stored at once.
#[cfg(target_arch = "x86_64")]
mod pairs {
    use super::Symbols;
    use prelude::{FsstErr, OffsetSizeTrait};
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    pub fn here() -> bool {
        use lar_shim::{Feature, has};
        has(Feature::Sse42)
    }

    #[target_feature(enable = "sse4.2")]
    pub fn stream<const STEP: usize, T: OffsetSizeTrait>(
        symbols: &Symbols,
        codes: &[u8],
        start: impl Fn(usize) -> usize,
        out: &mut [MaybeUninit<u8>],
        out_off: &mut [T],
    ) -> Result<usize, FsstErr> {
        super::stream::<STEP, T>(
            symbols,
            codes,
            start,
            out,
            out_off,
            |symbols, codes, len, place| {
                // SAFETY: the CPU has SSE4.2.
                unsafe { store_two(symbols, codes, len, place) }
            },
        )
    }

    // As `super::store_two`, by one store.
    #[inline]
    #[target_feature(enable = "sse4.2")]
    fn store_two(symbols: &Symbols, [a, b]: [u8; 2], len: usize, place: *mut u8) {
        // SAFETY: symbols are read within the table, and a length is 8 at most.
        unsafe {
            let a = _mm_castsi128_pd(_mm_loadl_epi64(symbols.place(a).cast()));
            let both = _mm_castpd_si128(_mm_loadh_pd(a, symbols.place(b).cast()));
            let join = _mm_load_si128(JOINS.0.as_ptr().add(len).cast());
            _mm_storeu_si128(place.cast(), _mm_shuffle_epi8(both, join));
        }
    }

    // For each length of the first symbol, which bytes of the two are output.
    #[repr(align(16))]
    struct Joins([[u8; 16]; 9]);

    static JOINS: Joins = {
        let mut joins = [[0; 16]; 9];
        let mut len = 0;
        while len <= 8 {
            let mut i = 0;
            while i < 16 {
                // Of the second symbol 8 bytes, behind them anything.
                joins[len][i] = if i < len { i } else { (i + 8 - len) % 16 } as u8;
                i += 1;
            }
            len += 1;
        }
        Joins(joins)
    };
}

// AVX-512: lengths of 64 codes by two byte permutations, their sums by shifts and additions, eight
// symbols side by side in a register, and the bytes that count pressed together. So no code waits
// for the length of the one before it, eight codes are one store, and so are 32 marks.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{SYMBOLS, TABLE};
    use prelude::{FsstErr, OffsetSizeTrait};
    use std::arch::x86_64::*;
    use std::mem::MaybeUninit;

    // Codes between two look-ups of boundaries; a chunk of Lance's is one. 8 * BLOCK < LITERAL.
    const BLOCK: usize = 63 * 64;
    // In a mark: the code is the byte after an escape, and no value may end before it.
    const LITERAL: u16 = 1 << 15;

    // What is stored by 64 bytes and read by fewer stands on cache lines of its own: a store over
    // two lines is slow, and a load from it must wait until it has left the core.
    #[repr(C, align(64))]
    struct Lines<T>(T);

    // Where in the output each code of a block begins, and where the last one ends.
    type Marks = Lines<[MaybeUninit<u16>; BLOCK + 64]>;

    pub fn here() -> bool {
        use lar_shim::{Feature, has};
        has(Feature::Avx512bw)
            && has(Feature::Avx512vl)
            && has(Feature::Avx512vbmi)
            && has(Feature::Avx512vbmi2)
    }

    // The lengths of all 256 codes, in four registers.
    struct Lens([__m512i; 4]);

    impl Lens {
        // None: a declared length is outside 1..=8.
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,bmi2")]
        fn new(table: &[u8; TABLE]) -> Option<Self> {
            let n = table[0] as u32;
            let (one, seven) = (_mm512_set1_epi8(1), _mm512_set1_epi8(7));
            let mut wrong = 0;
            let lens = [0, 64, 128, 192].map(|at| {
                let declared = _bzhi_u64(u64::MAX, n.saturating_sub(at).min(64));
                let place = table.as_ptr().wrapping_add(SYMBOLS + 8 * n as usize + at as usize);
                // SAFETY: only declared lengths are read, and the table has room for 255.
                let lens = unsafe { _mm512_maskz_loadu_epi8(declared, place.cast()) };
                // 0 wraps to 255.
                wrong |= _mm512_mask_cmpgt_epu8_mask(declared, _mm512_sub_epi8(lens, one), seven);
                lens
            });
            (wrong == 0).then_some(Self(lens))
        }

        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
        fn of(&self, codes: __m512i) -> __m512i {
            let low = _mm512_permutex2var_epi8(self.0[0], codes, self.0[1]);
            let high = _mm512_permutex2var_epi8(self.0[2], codes, self.0[3]);
            _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high)
        }
    }

    // Whether of `n` offsets of SIZE bytes one is below the one before it, as unsigned numbers. A
    // negative one is then above all others, and so is the last one, which the caller looks at.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi2")]
    pub unsafe fn falls<const SIZE: usize>(off: *const u8, n: usize) -> bool {
        let lanes = 64 / SIZE;
        let mut found = 0;
        for i in (1..n).step_by(lanes) {
            let here = _bzhi_u32(u32::MAX, (n - i).min(lanes) as u32) as u16;
            // SAFETY: only offsets that are there.
            unsafe {
                let (before, after) = (off.add(SIZE * (i - 1)), off.add(SIZE * i));
                found |= if SIZE == 4 {
                    let before = _mm512_maskz_loadu_epi32(here, before.cast());
                    let after = _mm512_maskz_loadu_epi32(here, after.cast());
                    _mm512_cmplt_epu32_mask(after, before)
                } else {
                    let before = _mm512_maskz_loadu_epi64(here as u8, before.cast());
                    let after = _mm512_maskz_loadu_epi64(here as u8, after.cast());
                    _mm512_cmplt_epu64_mask(after, before) as u16
                };
            }
        }
        found != 0
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt")]
    pub fn values<T: OffsetSizeTrait>(
        table: &[u8; TABLE],
        codes: &[u8],
        start: impl Fn(usize) -> usize,
        out: &mut [MaybeUninit<u8>],
        out_off: &mut [T],
    ) -> Result<usize, FsstErr> {
        assert!(out.len() >= 8 * codes.len());
        let lens = Lens::new(table).ok_or(FsstErr::InvalidData)?;
        let room = out.len();
        let out = out.as_mut_ptr().cast::<u8>();
        let mut marks: Marks = Lines([MaybeUninit::uninit(); BLOCK + 64]);
        let (mut v, mut i, mut total, mut literal, mut seen) = (0, 0, 0, 0, 0);
        for block in codes.chunks(BLOCK) {
            // SAFETY: a code advances the output by 8 at most, so 8 a code are left.
            let bytes = unsafe {
                decode(table, &lens, block, out.add(total), room - total, &mut marks, &mut literal)
            };
            let mut end = out_off.len();
            if i + block.len() < codes.len() {
                end = v;
                while end < out_off.len() && start(end) <= i + block.len() {
                    end += 1;
                }
            }
            for (v, place) in out_off[..end].iter_mut().enumerate().skip(v) {
                // SAFETY: all codes of the block are marked, and so is its end; offsets rise.
                let mark = unsafe { marks.0.get_unchecked(start(v) - i).assume_init() };
                seen |= mark;
                *place = T::usize_as(total + (mark & !LITERAL) as usize);
            }
            v = end;
            i += block.len();
            total += bytes;
        }
        if codes.is_empty() {
            out_off.fill(T::zero());
        }
        if seen & LITERAL != 0 || total > T::MAX_OFFSET {
            return Err(FsstErr::InvalidData);
        }
        Ok(total)
    }

    // Which of 64 codes are the byte after an escape. A run of 255s is escape, literal, escape, ...: the
    // subtraction carries through each run and tells odd places from even ones (as simdjson finds
    // escaped quotes). `literal`: is the first one; afterwards, is the 65th.
    #[inline(always)]
    fn literals(escapes: u64, literal: &mut u64) -> u64 {
        const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
        let first = escapes & !*literal;
        let ends = (((first << 1) | ODD).wrapping_sub(first)) ^ ODD;
        let literals = ends ^ (escapes | *literal);
        *literal = (ends & escapes) >> 63;
        literals
    }

    // Decodes a block and returns the bytes written. `room`: the bytes that `out` takes.
    // `literal` is 1 where the block begins with the byte after an escape; afterwards, where the
    // next block does.
    //
    // SAFETY: `room` is 8 bytes or more for each of `codes`, of which there are at most BLOCK.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt")]
    unsafe fn decode(
        table: &[u8; TABLE],
        lens: &Lens,
        codes: &[u8],
        out: *mut u8,
        room: usize,
        marks: &mut Marks,
        literal: &mut u64,
    ) -> usize {
        let marks = marks.0.as_mut_ptr().cast::<u16>();
        let (wholes, rest) = codes.as_chunks::<64>();
        let mut at = 0;
        for (codes, b) in wholes.iter().zip(0..) {
            // SAFETY: marks for BLOCK codes, 8 bytes of room for each code.
            unsafe {
                let (keep, literals, next) =
                    measure(lens, codes, u64::MAX, literal, at, marks.add(64 * b));
                if literals == 0 {
                    write::<false, false>(table, codes, keep, 0, out.add(at));
                } else {
                    write::<true, false>(table, codes, keep, literals, out.add(at));
                }
                at = next;
            }
        }
        if rest.is_empty() {
            // SAFETY: one mark more than there are codes.
            unsafe { marks.add(codes.len()).write(at as u16 | (*literal as u16) << 15) };
            return at;
        }
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        // SAFETY: as above, and 64 marks more; where there is no room for 64 codes, only the bytes
        // that count are written.
        unsafe {
            let (here, marks) = (!(u64::MAX << rest.len()), marks.add(64 * wholes.len()));
            let (keep, literals, next) = measure(lens, &last, here, literal, at, marks);
            if at + 8 * 64 <= room {
                write::<true, false>(table, &last, keep, literals, out.add(at));
            } else {
                write::<true, true>(table, &last, keep, literals, out.add(at));
            }
            next
        }
    }

    // Marks 64 codes, of which only those in `here` count, the first one beginning at `at`. Returns
    // which bytes of their symbols count, which codes are literals, and where the next one begins.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn measure(
        lens: &Lens,
        codes: &[u8; 64],
        here: u64,
        literal: &mut u64,
        at: usize,
        marks: *mut u16,
    ) -> (__m512i, u64, usize) {
        // SAFETY: 64 codes.
        let codes = unsafe { _mm512_loadu_epi8(codes.as_ptr().cast()) };
        let escapes = _mm512_cmpeq_epi8_mask(codes, _mm512_set1_epi8(-1));
        let literals = if escapes | *literal == 0 { 0 } else { literals(escapes, literal) };
        let len = _mm512_mask_mov_epi8(lens.of(codes), literals, _mm512_set1_epi8(1));
        let len = _mm512_maskz_mov_epi8(here, len);
        // A symbol of length n keeps n bytes; the masks of eight are the mask of a group.
        let low = _mm_setr_epi8(0, 1, 3, 7, 15, 31, 63, 127, -1, 0, 0, 0, 0, 0, 0, 0);
        let keep = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(low), len);
        // SAFETY: promised by the caller.
        (keep, literals, unsafe { positions(len, literals, at, marks) })
    }

    // Writes the symbols of 64 codes, eight at a time. `LITERALS`: there are any. `TIGHT`: only the
    // bytes that count are touched, where there may be no room for 64 from the start of each eight.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi1,bmi2,popcnt")]
    unsafe fn write<const LITERALS: bool, const TIGHT: bool>(
        table: &[u8; TABLE],
        codes: &[u8; 64],
        keep: __m512i,
        literals: u64,
        mut to: *mut u8,
    ) {
        let mut masks = Lines([0u64; 8]);
        // SAFETY: 64 bytes.
        unsafe { _mm512_store_si512(masks.0.as_mut_ptr().cast(), keep) };
        let (words, masks) = (codes.as_chunks::<8>().0, masks.0);
        for g in 0..8 {
            let mut symbols = side_by_side(table, &words[g]);
            if LITERALS {
                let codes = _mm_cvtsi64_si128(i64::from_le_bytes(words[g]));
                symbols = _mm512_mask_cvtepu8_epi64(symbols, (literals >> (8 * g)) as u8, codes);
            }
            let symbols = _mm512_maskz_compress_epi8(masks[g], symbols);
            let bytes = masks[g].count_ones();
            // SAFETY: promised by the caller.
            unsafe {
                if TIGHT {
                    _mm512_mask_storeu_epi8(to.cast(), _bzhi_u64(u64::MAX, bytes), symbols);
                } else {
                    _mm512_storeu_si512(to.cast(), symbols);
                }
                to = to.add(bytes as usize);
            }
        }
    }

    // The symbols of eight codes. (A gather instruction takes three times as long on Zen 4.)
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi1")]
    fn side_by_side(table: &[u8; TABLE], codes: &[u8; 8]) -> __m512i {
        let codes = u64::from_le_bytes(*codes);
        let symbol = |k: u32| {
            // bextr: one instruction a code; a copy, a shift and a mask are three.
            let code = _bextr_u64(codes, 8 * k, 8) as usize;
            // SAFETY: a symbol ends at most 8 + 8 * 256 bytes into the table's 2312.
            unsafe { table.as_ptr().add(SYMBOLS + 8 * code) }
        };
        // SAFETY: 8 bytes each.
        let two = |k: u32| unsafe {
            let first = _mm_castsi128_pd(_mm_loadl_epi64(symbol(k).cast()));
            _mm_castpd_si128(_mm_loadh_pd(first, symbol(k + 1).cast()))
        };
        let four =
            |k: u32| _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(two(k)), two(k + 2));
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(four(0)), four(4))
    }

    // Marks 64 codes, the first of which begins at `at`; returns where the next one does. Sums
    // within eight codes fit bytes (at most 64), so 64 of them are three shifts and additions; sums
    // over the eights are done in 128 bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn positions(len: __m512i, literals: u64, at: usize, marks: *mut u16) -> usize {
        let mut sum = len;
        sum = _mm512_add_epi8(sum, _mm512_slli_epi64::<8>(sum));
        sum = _mm512_add_epi8(sum, _mm512_slli_epi64::<16>(sum));
        sum = _mm512_add_epi8(sum, _mm512_slli_epi64::<32>(sum));
        let eights = _mm512_cvtepi64_epi16(_mm512_srli_epi64::<56>(sum));
        let mut upto = eights;
        upto = _mm_add_epi16(upto, _mm_bslli_si128::<2>(upto));
        upto = _mm_add_epi16(upto, _mm_bslli_si128::<4>(upto));
        upto = _mm_add_epi16(upto, _mm_bslli_si128::<8>(upto));
        let begin = _mm_add_epi16(_mm_sub_epi16(upto, eights), _mm_set1_epi16(at as i16));
        let begin = _mm512_castsi128_si512(begin);
        let within = _mm512_slli_epi64::<8>(sum);
        // Word g of `begin` eight times, for g = 0..4 and g = 4..8.
        let low = _mm512_set_epi64(
            0x0003_0003_0003_0003,
            0x0003_0003_0003_0003,
            0x0002_0002_0002_0002,
            0x0002_0002_0002_0002,
            0x0001_0001_0001_0001,
            0x0001_0001_0001_0001,
            0,
            0,
        );
        let high = _mm512_add_epi16(low, _mm512_set1_epi16(4));
        let mut low = _mm512_add_epi16(
            _mm512_cvtepu8_epi16(_mm512_castsi512_si256(within)),
            _mm512_permutexvar_epi16(low, begin),
        );
        let mut high = _mm512_add_epi16(
            _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(within)),
            _mm512_permutexvar_epi16(high, begin),
        );
        if literals != 0 {
            low = flag(low, literals as u32);
            high = flag(high, (literals >> 32) as u32);
        }
        // SAFETY: promised by the caller.
        unsafe {
            _mm512_storeu_epi16(marks.cast(), low);
            _mm512_storeu_epi16(marks.add(32).cast(), high);
        }
        at + _mm_extract_epi16::<7>(upto) as usize
    }

    // Sets LITERAL in the marks of literals.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn flag(marks: __m512i, literals: u32) -> __m512i {
        let flagged = _mm512_or_si512(marks, _mm512_set1_epi16(LITERAL as i16));
        _mm512_mask_mov_epi16(marks, literals, flagged)
    }
}
