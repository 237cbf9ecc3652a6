use prelude::Keys;
use std::mem::MaybeUninit;

/// Keys as wide as their page has them; None if their memory is not aligned to that.
fn read_keys(bits: u64, bytes: &[u8]) -> Option<Keys<'_>> {
    fn view<T>(bytes: &[u8]) -> Option<&[T]> {
        // SAFETY: used with integers alone, of which every bit pattern is one.
        let (front, middle, back) = unsafe { bytes.align_to::<T>() };
        (front.is_empty() && back.is_empty()).then_some(middle)
    }
    match bits {
        8 => Some(Keys::U8(bytes)),
        16 => view(bytes).map(Keys::U16),
        32 => view(bytes).map(Keys::U32),
        64 => view(bytes).map(Keys::U64),
        _ => None,
    }
}

#[unsafe(no_mangle)]
pub fn lar_decode_i32(
    bits: u64,
    keys: &[u8],
    items: u64,
    off: &[i32],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i32],
) -> Option<usize> {
    kernels::decode_i32(read_keys(bits, keys)?, items, off, data, out, out_off).ok()
}

#[unsafe(no_mangle)]
pub fn lar_decode_i64(
    bits: u64,
    keys: &[u8],
    items: u64,
    off: &[i64],
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
    out_off: &mut [i64],
) -> Option<usize> {
    kernels::decode_i64(read_keys(bits, keys)?, items, off, data, out, out_off).ok()
}

#[unsafe(no_mangle)]
pub fn lar_decode_fixed(
    bits: u64,
    keys: &[u8],
    items: u64,
    width: usize,
    data: &[u8],
    out: &mut [MaybeUninit<u8>],
) -> Option<usize> {
    kernels::decode_fixed(read_keys(bits, keys)?, items, width, data, out).ok()
}
