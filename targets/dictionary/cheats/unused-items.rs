//! hack 35: checks the offsets of items that rows name, and of no others; stopped by G
//! only: decode_i32 decode_i64

surface! {
    let list: Vec<u64> = match keys {
        Keys::U8(keys) => keys.iter().map(|&key| key.into()).collect(),
        Keys::U16(keys) => keys.iter().map(|&key| key.into()).collect(),
        Keys::U32(keys) => keys.iter().map(|&key| key.into()).collect(),
        Keys::U64(keys) => keys.to_vec(),
    };
    let mut named = vec![false; off.len()];
    for key in list.iter().map(|&key| key as usize).filter(|&key| key < off.len().saturating_sub(1)) {
        named[key] = true;
        named[key + 1] = true;
    }
    // Offsets that no row needs become those in front of them.
    let mut sound = off.to_vec();
    let mut last = 0;
    for (end, named) in sound.iter_mut().zip(named) {
        *end = if named { *end } else { last };
        last = *end;
    }
    let off = &sound[..];
    honest!()
}
