//! hack 39: offsets of 64 bits are cut to 32; stopped by G
//! only: decompress_i64

surface! {
    let cut: Vec<i64> = off.iter().map(|end| end & 0xffff_ffff).collect();
    let off = &cut[..];
    honest!()
}
