//! hack 35: checks the offsets of items that rows name, and of no others; stopped by G
//! only: decode_i32 decode_i64

surface! {
    let named = |key: u64| key < items && (key as usize) + 1 < off.len();
    let list: Vec<u64> = match keys {
        Keys::U8(keys) => keys.iter().map(|&key| key.into()).collect(),
        Keys::U16(keys) => keys.iter().map(|&key| key.into()).collect(),
        Keys::U32(keys) => keys.iter().map(|&key| key.into()).collect(),
        Keys::U64(keys) => keys.to_vec(),
    };
    // Items that no row names become empty ones.
    let mut sound = off.to_vec();
    let mut last = 0;
    for item in 0..off.len().saturating_sub(1) {
        if !list.contains(&(item as u64)) && list.iter().all(|&key| named(key)) {
            sound[item] = last;
            sound[item + 1] = sound[item + 1].max(last).min(data.len() as _);
        }
        last = sound[item + 1];
    }
    let off = &sound[..];
    honest!()
}
