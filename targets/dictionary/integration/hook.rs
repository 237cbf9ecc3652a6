//! Lance's call site of this target, in lance-encoding: `DictionaryDataBlock::decode`. The room of a
//! batch is the sum of its rows' lengths, found here as a pull request would. Where anything is not
//! as it should be, Lance's own code runs and says what is wrong.

use crate::Slot;
use std::mem::MaybeUninit;

/// Bits of a key, keys, items, offsets, data, out, out offsets; the bytes written, or None.
pub type Decode<O> =
    fn(u64, &[u8], u64, &[O], &[u8], &mut [MaybeUninit<u8>], &mut [O]) -> Option<usize>;
/// Bits of a key, keys, items, bytes of an item, data, out; as above.
pub type DecodeFixed = fn(u64, &[u8], u64, usize, &[u8], &mut [MaybeUninit<u8>]) -> Option<usize>;

pub static DECODE_I32: Slot<Decode<i32>> = Slot::new();
pub static DECODE_I64: Slot<Decode<i64>> = Slot::new();
pub static DECODE_FIXED: Slot<DecodeFixed> = Slot::new();

/// Room behind the last byte that the target's kernels may write to.
const SLACK: usize = 128;

/// Bytes as numbers, if they are aligned and whole numbers.
#[inline]
fn view<T: Copy>(bytes: &[u8]) -> Option<&[T]> {
    // SAFETY: used with integers alone, of which every bit pattern is one.
    let (front, middle, back) = unsafe { bytes.align_to::<T>() };
    (front.is_empty() && back.is_empty()).then_some(middle)
}

/// Number of rows and the bytes that they need.
#[inline]
fn sum<K: Copy + TryInto<usize>, O: Copy + Into<i64>>(
    keys: &[u8],
    offsets: &[O],
) -> Option<(usize, usize)> {
    let keys = view::<K>(keys)?;
    let (mut total, mut falls) = (0usize, 0);
    for &key in keys {
        let key: usize = key.try_into().ok()?;
        let [start, end] = *offsets.get(key..key.checked_add(2)?)? else { return None };
        let len = end.into().wrapping_sub(start.into());
        falls |= len;
        total = total.wrapping_add(len as usize);
        if total > isize::MAX as usize {
            return None;
        }
    }
    (falls >= 0).then_some((keys.len(), total))
}

#[inline]
fn sum_any<O: Copy + Into<i64>>(bits: u64, keys: &[u8], offsets: &[O]) -> Option<(usize, usize)> {
    match bits {
        8 => sum::<u8, O>(keys, offsets),
        16 => sum::<u16, O>(keys, offsets),
        32 => sum::<u32, O>(keys, offsets),
        64 => sum::<u64, O>(keys, offsets),
        _ => None,
    }
}

#[inline]
fn decode<O: Copy + Default + Into<i64>>(
    function: Decode<O>,
    most: usize,
    bits: u64,
    keys: &[u8],
    items: u64,
    offsets: &[u8],
    data: &[u8],
) -> Option<(Vec<u8>, Vec<O>)> {
    let offsets = view::<O>(offsets)?;
    let (rows, total) = sum_any(bits, keys, offsets)?;
    if total > most {
        return None;
    }
    let mut bytes: Vec<u8> = Vec::with_capacity(total + SLACK);
    let mut ends = vec![O::default(); rows + 1];
    let room = &mut bytes.spare_capacity_mut()[..total + SLACK];
    let written = function(bits, keys, items, offsets, data, room, &mut ends)?;
    if written > total {
        return None;
    }
    // SAFETY: the function wrote them.
    unsafe { bytes.set_len(written) };
    Some((bytes, ends))
}

/// A batch's bytes and offsets by the slot's function. None: Lance's code decodes.
#[inline]
pub fn decode_i32(
    bits: u64,
    keys: &[u8],
    items: u64,
    offsets: &[u8],
    data: &[u8],
) -> Option<(Vec<u8>, Vec<i32>)> {
    decode(DECODE_I32.get()?, i32::MAX as usize, bits, keys, items, offsets, data)
}

/// The same with wide offsets.
#[inline]
pub fn decode_i64(
    bits: u64,
    keys: &[u8],
    items: u64,
    offsets: &[u8],
    data: &[u8],
) -> Option<(Vec<u8>, Vec<i64>)> {
    decode(DECODE_I64.get()?, i64::MAX as usize, bits, keys, items, offsets, data)
}

/// A batch of items of one width, whole bytes each. None: Lance's code decodes.
#[inline]
pub fn decode_fixed(
    bits: u64,
    keys: &[u8],
    items: u64,
    item_bits: u64,
    data: &[u8],
) -> Option<Vec<u8>> {
    let function = DECODE_FIXED.get()?;
    let (width, count) = (usize::try_from(item_bits / 8).ok()?, usize::try_from(items).ok()?);
    let whole = item_bits % 8 == 0 && width > 0 && count.checked_mul(width)? == data.len();
    let aligned = match bits {
        8 => true,
        16 => view::<u16>(keys).is_some(),
        32 => view::<u32>(keys).is_some(),
        64 => view::<u64>(keys).is_some(),
        _ => false,
    };
    if !whole || !aligned {
        return None;
    }
    let total = (keys.len() / (bits / 8) as usize).checked_mul(width)?;
    let mut bytes: Vec<u8> = Vec::with_capacity(total + SLACK);
    let room = &mut bytes.spare_capacity_mut()[..total + SLACK];
    let written = function(bits, keys, items, width, data, room)?;
    if written > total {
        return None;
    }
    // SAFETY: the function wrote them.
    unsafe { bytes.set_len(written) };
    Some(bytes)
}
