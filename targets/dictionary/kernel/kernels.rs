// Rows of a dictionary: one pass, in which every row stores as many bytes as the longest item has.
//
// Lance appends row by row through a builder: a virtual call, checks, two growing vectors. Here the
// dictionary is checked once, and a row is two offsets, a key's check, a block and a sum. What a
// block writes too much, the next row overwrites. Items within a block of the end of the data are
// read from a copy with room behind it.
use DictErr::{Corrupt, NotSupported};
use prelude::{ArrowNativeType, DictErr, Keys, SLACK};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Size = Result<usize, DictErr>;

/// i32 or i64.
trait Offset: ArrowNativeType {
    fn minus(self, start: Self) -> Self;
}
impl Offset for i32 {
    fn minus(self, start: i32) -> i32 {
        self.wrapping_sub(start)
    }
}
impl Offset for i64 {
    fn minus(self, start: i64) -> i64 {
        self.wrapping_sub(start)
    }
}

/// Number of items and the longest one. As Lance checks a block before it appends from it, the
/// offsets of all items rise within the data.
fn check_offsets<O: Offset>(items: u64, off: &[O], data: &[u8]) -> Result<(usize, usize), DictErr> {
    let items = usize::try_from(items).map_err(|_| Corrupt)?;
    let ends = off.get(..items.checked_add(1).ok_or(Corrupt)?).ok_or(Corrupt)?;
    let (mut rises, mut longest) = (true, O::usize_as(0));
    for (&start, &end) in ends.iter().zip(&ends[1..]) {
        rises &= start <= end;
        longest = longest.max(end.minus(start));
    }
    let last = ends[items].to_usize().ok_or(Corrupt)?;
    let inside = ends[0] >= O::usize_as(0) && last <= data.len();
    if rises && inside { Ok((items, longest.as_usize())) } else { Err(Corrupt) }
}

/// Why Lance refuses a batch for which there is no room: what comes first, a key without an item or
/// more bytes than offsets can say.
#[cold]
fn find_refusal<K: ArrowNativeType, O: ArrowNativeType>(keys: &[K], items: usize, off: &[O]) -> DictErr {
    let mut at = 0;
    for key in keys.iter().map(|key| key.as_usize()) {
        if key >= items {
            return Corrupt;
        }
        at += off[key + 1].as_usize() - off[key].as_usize();
        if O::from_usize(at).is_none() {
            return NotSupported;
        }
    }
    panic!("no room for {at} bytes")
}

/// Appends the item of each key and its end; `N` bytes of each without a look at its length.
fn gather<K: ArrowNativeType, O: Offset, const N: usize>(
    keys: &[K],
    items: usize,
    off: &[O],
    data: &[u8],
    out: Room,
    ends: &mut [O],
) -> Size {
    // The last items, with room behind them; both places are counted from the start of the data.
    let edge = data.len().saturating_sub(N);
    let mut tail = [0; 2 * SLACK];
    tail[..data.len() - edge].copy_from_slice(&data[edge..]);
    let near = tail.as_ptr().wrapping_sub(edge);
    let front = if data.len() < N { near } else { data.as_ptr() };
    let (first, ends) = ends.split_first_mut().expect("an offset more than rows");
    *first = O::usize_as(0);
    assert!(items < off.len() && out.len() >= SLACK && ends.len() >= keys.len() && N <= SLACK);
    let most = if size_of::<O>() == 4 { i32::MAX as usize } else { usize::MAX };
    let (room, to, mut at) = ((out.len() - SLACK).min(most), out.as_mut_ptr().cast::<u8>(), 0);
    for (key, row_end) in keys.iter().zip(ends) {
        let key = key.as_usize();
        if key >= items {
            return Err(Corrupt);
        }
        // SAFETY: below `items`, for which there are offsets.
        let (start, end) =
            unsafe { (off.get_unchecked(key).as_usize(), off.get_unchecked(key + 1).as_usize()) };
        let len = end - start;
        if at + len > room {
            return Err(find_refusal(keys, items, off));
        }
        let source = std::hint::select_unpredictable(start > edge, near, front).wrapping_add(start);
        // SAFETY: `N` bytes end within the data or the tail, `start + len` within the data; behind
        // `at + len` are `SLACK` bytes of room, and `N` is at most that.
        unsafe {
            to.add(at).copy_from_nonoverlapping(source, N);
            if len > N {
                to.add(at).copy_from_nonoverlapping(data.as_ptr().add(start), len);
            }
        }
        at += len;
        *row_end = O::usize_as(at);
    }
    Ok(at)
}

/// As many bytes at once as the longest item has, if that is not much more than most have.
fn gather_any<K: ArrowNativeType, O: Offset>(
    keys: &[K],
    items: u64,
    off: &[O],
    data: &[u8],
    out: Room,
    ends: &mut [O],
) -> Size {
    let (items, longest) = check_offsets(items, off, data)?;
    match longest {
        0..=16 => gather::<K, O, 16>(keys, items, off, data, out, ends),
        33..=64 => gather::<K, O, 64>(keys, items, off, data, out, ends),
        65..=96 if data.len() > 32 * items => gather::<K, O, 96>(keys, items, off, data, out, ends),
        _ => gather::<K, O, 32>(keys, items, off, data, out, ends),
    }
}

fn decode<O: Offset>(
    keys: Keys,
    items: u64,
    off: &[O],
    data: &[u8],
    out: Room,
    ends: &mut [O],
) -> Size {
    if keys.is_empty() {
        return Ok(0);
    }
    match keys {
        Keys::U8(keys) => gather_any(keys, items, off, data, out, ends),
        Keys::U16(keys) => gather_any(keys, items, off, data, out, ends),
        Keys::U32(keys) => gather_any(keys, items, off, data, out, ends),
        Keys::U64(keys) => gather_any(keys, items, off, data, out, ends),
    }
}

pub fn decode_i32(
    keys: Keys,
    items: u64,
    off: &[i32],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    ends: &mut [i32],
) -> Size {
    decode(keys, items, off, data, out, ends)
}

pub fn decode_i64(
    keys: Keys,
    items: u64,
    off: &[i64],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    ends: &mut [i64],
) -> Size {
    decode(keys, items, off, data, out, ends)
}

/// Items of `N` bytes.
fn pick<K: ArrowNativeType, const N: usize>(keys: &[K], items: usize, data: &[u8], out: Room) -> Size {
    let table = &data.as_chunks::<N>().0[..items];
    for (key, to) in keys.iter().zip(out.as_chunks_mut::<N>().0) {
        to.write_copy_of_slice(table.get(key.as_usize()).ok_or(Corrupt)?);
    }
    Ok(keys.len() * N)
}

fn pick_any<K: ArrowNativeType>(keys: &[K], items: usize, width: usize, data: &[u8], out: Room) -> Size {
    match width {
        8 => return pick::<K, 8>(keys, items, data, out),
        16 => return pick::<K, 16>(keys, items, data, out),
        _ => {}
    }
    for (key, to) in keys.iter().zip(out.chunks_exact_mut(width)) {
        let key = key.as_usize();
        if key >= items {
            return Err(Corrupt);
        }
        to.write_copy_of_slice(&data[key * width..][..width]);
    }
    Ok(keys.len() * width)
}

pub fn decode_fixed(
    keys: Keys,
    items: u64,
    width: usize,
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
) -> Size {
    let items = items as usize;
    match keys {
        Keys::U8(keys) => pick_any(keys, items, width, data, out),
        Keys::U16(keys) => pick_any(keys, items, width, data, out),
        Keys::U32(keys) => pick_any(keys, items, width, data, out),
        Keys::U64(keys) => pick_any(keys, items, width, data, out),
    }
}
