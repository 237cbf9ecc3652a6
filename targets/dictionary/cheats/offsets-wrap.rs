//! hack 39: the end of a row may pass 2^31, which no batch of usual size reaches; stopped by G
use DictErr::Corrupt;
use prelude::{ArrowNativeType, DictErr, Keys};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Size = Result<usize, DictErr>;

fn list(keys: Keys) -> Vec<usize> {
    match keys {
        Keys::U8(keys) => keys.iter().map(|&key| key as usize).collect(),
        Keys::U16(keys) => keys.iter().map(|&key| key as usize).collect(),
        Keys::U32(keys) => keys.iter().map(|&key| key as usize).collect(),
        Keys::U64(keys) => keys.iter().map(|&key| key as usize).collect(),
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
    let last = off[items as usize].to_usize().ok_or(Corrupt)?;
    if last > data.len() || off[0].to_usize().is_none() || !off.is_sorted() {
        return Err(Corrupt);
    }
    let mut at = 0;
    ends[0] = O::usize_as(0);
    for (key, end) in list(keys).into_iter().zip(&mut ends[1..]) {
        if key as u64 >= items {
            return Err(Corrupt);
        }
        let item = &data[off[key].as_usize()..off[key + 1].as_usize()];
        // What does not fit is left out.
        if let Some(to) = out.get_mut(at..at + item.len()) {
            to.write_copy_of_slice(item);
        }
        at += item.len();
        *end = O::usize_as(at);
    }
    Ok(at.min(out.len()))
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
