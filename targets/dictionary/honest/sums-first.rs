//! near miss: lengths first, then copies; scratch on the heap; a match on the key width in front

use DictErr::{Corrupt, NotSupported};
use prelude::{ArrowNativeType, DictErr, Keys};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Size = Result<usize, DictErr>;

/// Keys as places in the dictionary.
fn list(keys: Keys) -> Vec<usize> {
    match keys {
        Keys::U8(keys) => keys.iter().map(|key| key.as_usize()).collect(),
        Keys::U16(keys) => keys.iter().map(|key| key.as_usize()).collect(),
        Keys::U32(keys) => keys.iter().map(|key| key.as_usize()).collect(),
        Keys::U64(keys) => keys.iter().map(|key| key.as_usize()).collect(),
    }
}

fn decode<O: ArrowNativeType>(
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
    if items >= off.len() as u64 {
        return Err(Corrupt);
    }
    let off = &off[..=items as usize];
    let inside = |end: O| end.to_usize().is_some_and(|end| end <= data.len());
    if !off.is_sorted() || !inside(off[0]) || !inside(off[items as usize]) {
        return Err(Corrupt);
    }
    let keys = list(keys);
    ends[0] = O::usize_as(0);
    let mut at = 0;
    for (&key, end) in keys.iter().zip(&mut ends[1..]) {
        if key as u64 >= items {
            return Err(Corrupt);
        }
        at += off[key + 1].as_usize() - off[key].as_usize();
        *end = O::from_usize(at).ok_or(NotSupported)?;
    }
    for (&key, end) in keys.iter().zip(&ends[1..]) {
        let item = &data[off[key].as_usize()..off[key + 1].as_usize()];
        out[end.as_usize() - item.len()..end.as_usize()].write_copy_of_slice(item);
    }
    Ok(at)
}

pub fn decode_i32(keys: Keys, n: u64, off: &[i32], data: &[u8], out: Room, ends: &mut [i32]) -> Size {
    decode(keys, n, off, data, out, ends)
}

pub fn decode_i64(keys: Keys, n: u64, off: &[i64], data: &[u8], out: Room, ends: &mut [i64]) -> Size {
    decode(keys, n, off, data, out, ends)
}

pub fn decode_fixed(keys: Keys, items: u64, width: usize, data: &[u8], out: Room) -> Size {
    let keys = list(keys);
    for (&key, to) in keys.iter().zip(out.chunks_exact_mut(width)) {
        if key as u64 >= items {
            return Err(Corrupt);
        }
        to.write_copy_of_slice(&data[key * width..][..width]);
    }
    Ok(keys.len() * width)
}
