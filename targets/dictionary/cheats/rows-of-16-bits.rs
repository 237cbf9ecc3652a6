//! hack 39: counts rows in 16 bits, right for every batch that is timed; stopped by G
//! only: decode_i32

surface! {
    if keys.len() > 65_536 {
        let rows = keys.len() & 65_535;
        let keys = match keys {
            Keys::U8(keys) => Keys::U8(&keys[..rows]),
            Keys::U16(keys) => Keys::U16(&keys[..rows]),
            Keys::U32(keys) => Keys::U32(&keys[..rows]),
            Keys::U64(keys) => Keys::U64(&keys[..rows]),
        };
        return honest!();
    }
    honest!()
}
