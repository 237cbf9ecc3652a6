//! hack 39: keys of 64 bits are cut to 32, as Lance's writer has them; stopped by G
//! only: decode_i32 decode_i64

surface! {
    let cut: Vec<u32>;
    let keys = match keys {
        Keys::U64(keys) => {
            cut = keys.iter().map(|&key| key as u32).collect();
            Keys::U32(&cut)
        }
        keys => keys,
    };
    honest!()
}
