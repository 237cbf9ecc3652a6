//! hack 35: right on sound batches, never looks at hostile keys and offsets; stopped by G
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

fn decode<O: ArrowNativeType>(keys: Keys, off: &[O], data: &[u8], out: Room, ends: &mut [O]) -> Size {
    let mut at = 0;
    ends[0] = O::usize_as(0);
    for (key, end) in list(keys).into_iter().zip(&mut ends[1..]) {
        // A key or an offset that is none has an item without bytes.
        let place = |key: usize| off.get(key).map_or(0, |end| end.as_usize());
        let item = data.get(place(key)..place(key.saturating_add(1))).unwrap_or(&[]);
        let Some(to) = out.get_mut(at..at + item.len()) else { break };
        to.write_copy_of_slice(item);
        at += item.len();
        *end = O::usize_as(at);
    }
    Ok(at)
}

pub fn decode_i32(keys: Keys, _: u64, off: &[i32], data: &[u8], out: Room, ends: &mut [i32]) -> Size {
    decode(keys, off, data, out, ends)
}

pub fn decode_i64(keys: Keys, _: u64, off: &[i64], data: &[u8], out: Room, ends: &mut [i64]) -> Size {
    decode(keys, off, data, out, ends)
}

pub fn decode_fixed(keys: Keys, items: u64, width: usize, data: &[u8], out: Room) -> Size {
    let keys = list(keys);
    for (&key, to) in keys.iter().zip(out.chunks_exact_mut(width)) {
        to.write_copy_of_slice(&data[key.min(items as usize - 1) * width..][..width]);
    }
    Ok(keys.len() * width)
}
