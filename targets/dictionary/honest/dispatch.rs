//! near miss: AVX2 by name where the processor has it, a table of items on the heap, prefetches

use DictErr::{Corrupt, NotSupported};
use prelude::{ArrowNativeType, DictErr, Keys};
use std::mem::MaybeUninit;

type Room<'a> = &'a mut [MaybeUninit<u8>];
type Size = Result<usize, DictErr>;

/// One item, and what comes next asked for early.
///
/// # Safety
/// On a CPU with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn copy_wide(item: &[u8], to: &mut [MaybeUninit<u8>]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch may name any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(item.as_ptr().wrapping_add(item.len() + 64).cast()) };
    to.write_copy_of_slice(item);
}

fn copy(item: &[u8], to: &mut [MaybeUninit<u8>]) {
    #[cfg(target_arch = "x86_64")]
    if lar_shim::has(lar_shim::Feature::Avx2) {
        // SAFETY: just asked.
        return unsafe { copy_wide(item, to) };
    }
    to.write_copy_of_slice(item);
}

fn gather<O: ArrowNativeType>(
    keys: impl Iterator<Item = usize>,
    table: &[&[u8]],
    out: Room,
    ends: &mut [O],
) -> Size {
    let mut at = 0;
    ends[0] = O::usize_as(0);
    for (key, end) in keys.zip(&mut ends[1..]) {
        let item = table.get(key).ok_or(Corrupt)?;
        at += item.len();
        *end = O::from_usize(at).ok_or(NotSupported)?;
        // Bytes for which there is no room belong to a batch that is refused later.
        if let Some(to) = out.get_mut(at - item.len()..at) {
            copy(item, to);
        }
    }
    Ok(at)
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
    let off = usize::try_from(items).ok().and_then(|n| off.get(..n.checked_add(1)?)).ok_or(Corrupt)?;
    let mut table = Vec::with_capacity(off.len());
    for pair in off.windows(2) {
        let (start, end) = (pair[0].to_usize().ok_or(Corrupt)?, pair[1].to_usize().ok_or(Corrupt)?);
        table.push(data.get(start..end).ok_or(Corrupt)?);
    }
    match keys {
        Keys::U8(keys) => gather(keys.iter().map(|key| key.as_usize()), &table, out, ends),
        Keys::U16(keys) => gather(keys.iter().map(|key| key.as_usize()), &table, out, ends),
        Keys::U32(keys) => gather(keys.iter().map(|key| key.as_usize()), &table, out, ends),
        Keys::U64(keys) => gather(keys.iter().map(|key| key.as_usize()), &table, out, ends),
    }
}

pub fn decode_i32(keys: Keys, n: u64, off: &[i32], data: &[u8], out: Room, ends: &mut [i32]) -> Size {
    decode(keys, n, off, data, out, ends)
}

pub fn decode_i64(keys: Keys, n: u64, off: &[i64], data: &[u8], out: Room, ends: &mut [i64]) -> Size {
    decode(keys, n, off, data, out, ends)
}

pub fn decode_fixed(keys: Keys, items: u64, width: usize, data: &[u8], out: Room) -> Size {
    let table: Vec<&[u8]> = data.chunks_exact(width).take(items as usize).collect();
    let mut pick = |key: usize, to: Room| -> Result<(), DictErr> {
        to.write_copy_of_slice(table.get(key).ok_or(Corrupt)?);
        Ok(())
    };
    for (row, to) in out.chunks_exact_mut(width).take(keys.len()).enumerate() {
        let key = match keys {
            Keys::U8(keys) => keys[row].as_usize(),
            Keys::U16(keys) => keys[row].as_usize(),
            Keys::U32(keys) => keys[row].as_usize(),
            Keys::U64(keys) => keys[row].as_usize(),
        };
        pick(key, to)?;
    }
    Ok(keys.len() * width)
}
