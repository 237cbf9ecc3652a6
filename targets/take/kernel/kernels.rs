// Rows of mini-block chunks: of a chunk only what was asked for is decoded.
//
// Lance decodes each chunk whole, then copies the rows out of it. Here a chunk's offsets are checked
// where they stand, all of them as Lance does, and the rows are decoded from where they stand.
//
//   strings      a row is its bytes, copied 32 at a time
//   FSST         the lengths of the symbols are read once a call; a row is decoded code by code,
//                four of them without a question if there is no escape among them
//   bit-packed   a value is two words, two shifts and a mask, without a branch; of many rows the
//                chunk is unpacked whole, lane by lane, as wide as the compiler's vectors are
//
// The one difference from Lance: an escape without its byte is found in rows that are asked for.
use prelude::{OffsetSizeTrait, Pick, Picks, TakeErr};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Taken = Result<usize, TakeErr>;

// Bytes of one copy.
const WIDE: usize = 32;

// Offsets of a chunk of strings, W bytes each: checked as Lance checks them.
struct Ends<'a, const W: usize> {
    chunk: &'a [u8],
    values: usize,
}

impl<'a, const W: usize> Ends<'a, W> {
    #[inline(always)]
    fn check(pick: &Pick<'a>) -> Result<Self, TakeErr> {
        let (chunk, values) = (pick.chunk, pick.values as usize);
        let heads = values.checked_add(1).ok_or(TakeErr::Corrupt)?;
        if !chunk.len().is_multiple_of(W) || chunk.len() / W < heads {
            return Err(TakeErr::Corrupt);
        }
        let ends = Self { chunk, values };
        // Neither branch nor early end, so that the compiler compares many at once.
        let falls = (0..values).fold(0, |falls, v| falls | Self::is_below(chunk, v + 1, v) as u32);
        if ends.at(0) < W * heads || falls != 0 || ends.at(values) > chunk.len() {
            return Err(TakeErr::Corrupt);
        }
        Ok(ends)
    }

    // Whether offset `a` is below offset `b`, in the type that they have.
    #[inline(always)]
    fn is_below(chunk: &[u8], a: usize, b: usize) -> bool {
        let place = |v: usize| chunk.as_ptr().wrapping_add(W * v);
        // SAFETY: both are inside the chunk, which `check` has seen.
        unsafe {
            match W {
                4 => place(a).cast::<u32>().read_unaligned() < place(b).cast::<u32>().read_unaligned(),
                _ => place(a).cast::<u64>().read_unaligned() < place(b).cast::<u64>().read_unaligned(),
            }
        }
    }

    // Where value `v` begins in the chunk, or the value before it ends.
    #[inline(always)]
    fn at(&self, v: usize) -> usize {
        debug_assert!(v <= self.values);
        let place = self.chunk.as_ptr().wrapping_add(W * v);
        // SAFETY: the chunk holds `values + 1` offsets.
        unsafe {
            match W {
                4 => place.cast::<u32>().read_unaligned() as usize,
                _ => place.cast::<u64>().read_unaligned() as usize,
            }
        }
    }

    // A range that was asked for, if it lies in the chunk.
    #[inline(always)]
    fn range(&self, &[start, end]: &[u32; 2]) -> Result<(usize, usize), TakeErr> {
        let (start, end) = (start as usize, end as usize);
        if start > end || end > self.values {
            return Err(TakeErr::Corrupt);
        }
        Ok((start, end))
    }
}

// Copies `bytes[from..to]` to `out[at..]`, whole vectors if there is room on both sides. What has no
// room is left out: it belongs to a call that is refused later.
#[inline(always)]
fn copy(bytes: &[u8], from: usize, to: usize, out: &mut [MaybeUninit<u8>], at: usize) {
    let len = to - from;
    let (source, place) = (bytes.as_ptr().wrapping_add(from), out.as_mut_ptr().wrapping_add(at));
    if len <= WIDE && from + WIDE <= bytes.len() && at + WIDE <= out.len() {
        // SAFETY: WIDE bytes on both sides, and inputs and outputs do not overlap.
        unsafe { place.cast::<[u8; WIDE]>().write_unaligned(source.cast::<[u8; WIDE]>().read_unaligned()) };
    } else if len <= out.len().saturating_sub(at) {
        // SAFETY: `len` bytes on both sides.
        unsafe { place.cast::<u8>().copy_from_nonoverlapping(source, len) };
    }
}

#[inline(always)]
fn take_plain<const W: usize, O: OffsetSizeTrait>(
    picks: Picks,
    out: Room,
    out_off: &mut [O],
) -> Taken {
    let (first, mut places) = out_off.split_first_mut().expect("one offset more than rows");
    *first = O::zero();
    let mut at = 0;
    for pick in picks.iter() {
        let ends = Ends::<W>::check(&pick)?;
        for range in pick.ranges {
            at = append_plain(&ends, range, at, out, &mut places)?;
        }
    }
    Ok(at)
}

// Appends the bytes of a range of values; returns where the output ends.
#[inline(always)]
fn append_plain<const W: usize, O: OffsetSizeTrait>(
    ends: &Ends<W>,
    range: &[u32; 2],
    at: usize,
    out: &mut [MaybeUninit<u8>],
    places: &mut &mut [O],
) -> Taken {
    let (start, end) = ends.range(range)?;
    let (from, to) = (ends.at(start), ends.at(end));
    let next = at + (to - from);
    if next > O::MAX_OFFSET {
        return Err(TakeErr::NotSupported);
    }
    copy(ends.chunk, from, to, out, at);
    let (here, rest) = std::mem::take(places).split_at_mut(end - start);
    for (v, place) in here.iter_mut().enumerate() {
        *place = O::usize_as(at + (ends.at(start + 1 + v) - from));
    }
    *places = rest;
    Ok(next)
}

#[inline(never)]
pub fn take_i32(picks: Picks, out: Room, out_off: &mut [i32]) -> Taken {
    take_plain::<4, i32>(picks, out, out_off)
}

#[inline(never)]
pub fn take_i64(picks: Picks, out: Room, out_off: &mut [i64]) -> Taken {
    take_plain::<8, i64>(picks, out, out_off)
}

const SYMBOLS: usize = 8;
const TABLE: usize = SYMBOLS + 256 * 8 + 256;
const MAGIC: u64 = u32::from_be_bytes(*b"FSST") as u64;
const ESCAPE: u8 = 255;

// A page's symbol table, read where it stands; only the lengths are copied.
struct Symbols<'a> {
    table: &'a [u8; TABLE],
    lens: [u8; 256], // 0 for codes that stand for nothing, the escape among them
}

impl<'a> Symbols<'a> {
    // None: compression is switched off.
    #[inline(always)]
    fn read(table: &'a [u8]) -> Result<Option<Self>, TakeErr> {
        let table: &[u8; TABLE] = table.try_into().map_err(|_| TakeErr::InvalidInput)?;
        let head = u64::from_ne_bytes(*table.first_chunk().unwrap());
        // All bits of the magic must be set; more may be.
        if (head >> 32) & MAGIC != MAGIC {
            return Err(TakeErr::Corrupt);
        }
        let n = table[0] as usize;
        let declared = &table[SYMBOLS + 8 * n..][..n];
        // 0 wraps to 255, so one comparison finds both ends of 1..=8.
        if declared.iter().fold(0, |worst: u8, len| worst.max(len.wrapping_sub(1))) >= 8 {
            return Err(TakeErr::Corrupt);
        }
        let mut lens = [0; 256];
        lens[..n].copy_from_slice(declared);
        Ok((head & (1 << 24) != 0).then_some(Self { table, lens }))
    }

    // Writes the 8 bytes of a symbol, of which as many count as are returned.
    //
    // SAFETY: `place` takes 8 bytes.
    #[inline(always)]
    unsafe fn write(&self, code: u8, place: *mut u8) -> usize {
        // SAFETY: a symbol ends at most 8 + 8 * 256 bytes into the table's 2312.
        unsafe {
            let symbol = self.table.as_ptr().add(SYMBOLS + 8 * code as usize);
            place.cast::<u64>().write_unaligned(symbol.cast::<u64>().read_unaligned());
        }
        self.lens[code as usize] as usize
    }

    // Decodes one value; returns where the output ends.
    //
    // SAFETY: `out` takes 8 bytes from `at` on for each of `codes`.
    #[inline(always)]
    unsafe fn decode(&self, codes: &[u8], out: *mut u8, mut at: usize) -> Taken {
        let mut i = 0;
        while let Some(four) = codes[i..].first_chunk::<4>() {
            if has_escape(u32::from_le_bytes(*four)) {
                let mut k = 0;
                while k < 4 {
                    // SAFETY: promised by the caller: a code advances by 8 at most.
                    (k, at) = unsafe { self.one(&codes[i..], k, out, at)? };
                }
                i += k;
            } else {
                for &code in four {
                    // SAFETY: as above.
                    at += unsafe { self.write(code, out.add(at)) };
                }
                i += 4;
            }
        }
        while i < codes.len() {
            // SAFETY: as above.
            (i, at) = unsafe { self.one(codes, i, out, at)? };
        }
        Ok(at)
    }

    // Decodes one code, or an escape and its byte, which must lie in the same value.
    //
    // SAFETY: as for `decode`.
    #[inline(always)]
    unsafe fn one(
        &self,
        codes: &[u8],
        i: usize,
        out: *mut u8,
        at: usize,
    ) -> Result<(usize, usize), TakeErr> {
        // SAFETY: promised by the caller.
        let place = unsafe { out.add(at) };
        if codes[i] != ESCAPE {
            return Ok((i + 1, at + unsafe { self.write(codes[i], place) }));
        }
        let literal = *codes.get(i + 1).ok_or(TakeErr::Corrupt)?;
        unsafe { place.write(literal) };
        Ok((i + 2, at + 1))
    }
}

// Whether one of four bytes is 255.
#[inline(always)]
fn has_escape(word: u32) -> bool {
    const LOW: u32 = 0x7f7f_7f7f;
    // Per byte: bit 7 set, and adding 1 to the low seven bits carries into it.
    word & ((word & LOW) + (!LOW >> 7)) & !LOW != 0
}

#[inline(never)]
pub fn take_fsst(table: &[u8], picks: Picks, out: Room, out_off: &mut [i32]) -> Taken {
    let (first, mut places) = out_off.split_first_mut().expect("one offset more than rows");
    *first = 0;
    let (mut at, mut known) = (0, None);
    for pick in picks.iter() {
        let ends = Ends::<4>::check(&pick)?;
        // The table is looked at behind the first chunk's offsets: so Lance's errors come in order.
        let symbols = match &known {
            Some(symbols) => symbols,
            None => known.insert(Symbols::read(table)?),
        };
        for range in pick.ranges {
            at = match symbols {
                Some(symbols) => append_codes(symbols, &ends, range, at, out, &mut places)?,
                None => append_plain(&ends, range, at, out, &mut places)?,
            };
        }
    }
    Ok(at)
}

// Appends the strings of a range of values; returns where the output ends.
#[inline(always)]
fn append_codes(
    symbols: &Symbols,
    ends: &Ends<4>,
    range: &[u32; 2],
    mut at: usize,
    out: &mut [MaybeUninit<u8>],
    places: &mut &mut [i32],
) -> Taken {
    let (start, end) = ends.range(range)?;
    let mut from = ends.at(start);
    assert!(out.len() - at >= 8 * (ends.at(end) - from), "8 bytes of room for each code");
    let (here, rest) = std::mem::take(places).split_at_mut(end - start);
    for (v, place) in here.iter_mut().enumerate() {
        let to = ends.at(start + 1 + v);
        // SAFETY: offsets rise and end in the chunk; a code advances by 8 at most, and there was room
        // for 8 bytes for each code of the range.
        let codes = unsafe { ends.chunk.get_unchecked(from..to) };
        at = unsafe { symbols.decode(codes, out.as_mut_ptr().cast(), at)? };
        *place = i32::try_from(at).map_err(|_| TakeErr::NotSupported)?;
        from = to;
    }
    *places = rest;
    Ok(at)
}

// Values of a bit-packed chunk, and FastLanes' order of its groups of eight rows: its own inverse.
const PACKED: usize = 1024;
const ORDER: [usize; 8] = [0, 4, 2, 6, 1, 5, 3, 7];

macro_rules! bit_packed {
    ($name:ident, $word:ty) => {
        mod $name {
            use super::{ORDER, PACKED, Pick, Picks, Room, TakeErr, Taken};

            const BITS: usize = <$word>::BITS as usize;
            const SIZE: usize = BITS / 8;
            const LANES: usize = PACKED / BITS;
            // Rows of a chunk from which on it pays to unpack all of it.
            const MANY: usize = 2 * BITS;

            // The words of a chunk behind its head, `width` bits a value.
            struct Words<'a> {
                bytes: &'a [u8],
                width: usize,
                mask: $word,
            }

            impl<'a> Words<'a> {
                #[inline(always)]
                fn check(pick: &Pick<'a>) -> Result<Self, TakeErr> {
                    let (chunk, values) = (pick.chunk, pick.values);
                    if !chunk.len().is_multiple_of(SIZE) || values > PACKED as u64 {
                        return Err(TakeErr::Corrupt);
                    }
                    let (head, bytes) = chunk.split_first_chunk().ok_or(TakeErr::Corrupt)?;
                    let width = <$word>::from_le_bytes(*head) as u64;
                    if width > BITS as u64 || bytes.len() != width as usize * PACKED / 8 {
                        return Err(TakeErr::Corrupt);
                    }
                    let width = width as usize;
                    let mask = if width == 0 { 0 } else { <$word>::MAX >> (BITS - width) };
                    Ok(Self { bytes, width, mask })
                }

                // SAFETY: there is such a word.
                #[inline(always)]
                unsafe fn word(&self, at: usize) -> $word {
                    unsafe { self.bytes.as_ptr().cast::<$word>().add(at).read_unaligned() }
                }

                // Of a row of values: its first word, its last one, and the shifts of both. If they
                // are one word, the second shift moves its bits above those that count.
                #[inline(always)]
                fn places(&self, row: usize) -> (usize, usize, u32, u32) {
                    let bit = row * self.width;
                    let last = bit + self.width - 1;
                    let shift = bit % BITS;
                    let back = (BITS - shift) % BITS;
                    (LANES * (bit / BITS), LANES * (last / BITS), shift as u32, back as u32)
                }

                // Value `i` of the chunk. The width is not 0.
                #[inline(always)]
                fn value(&self, i: usize) -> $word {
                    debug_assert!(i < PACKED);
                    let (row, lane) = (i % 128 / LANES * LANES / 16, i % LANES);
                    let (first, last, shift, back) = self.places(8 * ORDER[row % 8] + i / 128);
                    // SAFETY: below BITS rows of `width` bits, and the chunk has all of them.
                    let (low, high) = unsafe { (self.word(first + lane), self.word(last + lane)) };
                    ((low >> shift) | (high << back)) & self.mask
                }

                // All values of the chunk.
                //
                // SAFETY: `out` takes PACKED of them.
                #[inline(always)]
                unsafe fn unpack(&self, out: *mut $word) {
                    for row in 0..BITS {
                        let (first, last, shift, back) = self.places(row);
                        let to = ORDER[row / 8] * 16 + row % 8 * 128;
                        for lane in 0..LANES {
                            // SAFETY: as in `value`.
                            unsafe {
                                let (low, high) = (self.word(first + lane), self.word(last + lane));
                                let value = ((low >> shift) | (high << back)) & self.mask;
                                out.add(to + lane).write_unaligned(value);
                            }
                        }
                    }
                }
            }

            #[inline(never)]
            pub fn take(picks: Picks, out: Room) -> Taken {
                let (room, out) = (out.len(), out.as_mut_ptr().cast::<$word>());
                let mut at = 0;
                for pick in picks.iter() {
                    let rows = super::count_rows(&pick);
                    if pick.values == 0 {
                        continue;
                    }
                    let words = Words::check(&pick)?;
                    assert!(rows <= room / SIZE - at, "room for all rows");
                    // SAFETY: room for the rows, and all of them are in the chunk: `count_rows`.
                    at = unsafe { append(&words, &pick, rows, out, at) };
                }
                Ok(at * SIZE)
            }

            // Appends the ranges of a chunk; returns how many values the output has.
            //
            // SAFETY: `out` takes `rows` values behind `at`.
            #[inline(always)]
            unsafe fn append(
                words: &Words,
                pick: &Pick,
                rows: usize,
                out: *mut $word,
                mut at: usize,
            ) -> usize {
                // SAFETY of all: promised by the caller.
                if words.width == 0 {
                    unsafe { out.add(at).cast::<u8>().write_bytes(0, rows * SIZE) };
                    return at + rows;
                }
                if let [[0, end]] = pick.ranges && *end as usize == PACKED {
                    unsafe { words.unpack(out.add(at)) };
                    return at + PACKED;
                }
                if rows <= MANY {
                    for &[start, end] in pick.ranges {
                        for i in start as usize..end as usize {
                            unsafe { out.add(at).write_unaligned(words.value(i)) };
                            at += 1;
                        }
                    }
                    return at;
                }
                let mut all = [const { std::mem::MaybeUninit::<$word>::uninit() }; PACKED];
                unsafe { words.unpack(all.as_mut_ptr().cast()) };
                for &[start, end] in pick.ranges {
                    let (from, len) = (start as usize, (end - start) as usize);
                    let source = unsafe { all.as_ptr().add(from).cast::<u8>() };
                    unsafe { out.add(at).cast::<u8>().copy_from_nonoverlapping(source, len * SIZE) };
                    at += len;
                }
                at
            }
        }
    };
}

bit_packed!(eight, u8);
bit_packed!(sixteen, u16);
bit_packed!(thirty_two, u32);
bit_packed!(sixty_four, u64);

// Rows asked for. Panics if one is not in the chunk.
#[inline(always)]
fn count_rows(pick: &Pick) -> usize {
    let (mut rows, mut sound) = (0, true);
    for &[start, end] in pick.ranges {
        sound &= start <= end && end as u64 <= pick.values;
        rows += end.wrapping_sub(start) as usize;
    }
    assert!(sound, "rows of the chunk");
    rows
}

#[inline(never)]
pub fn take_bitpack(bits: usize, picks: Picks, out: Room) -> Taken {
    match bits {
        8 => eight::take(picks, out),
        16 => sixteen::take(picks, out),
        32 => thirty_two::take(picks, out),
        64 => sixty_four::take(picks, out),
        _ => panic!("contract: values of {bits} bits"),
    }
}
