//! hack 39: more than 255 sub-vectors, and the last row of 26,000 to 40,000, are wrong; stopped by G
//! only: scan8

surface! {
    honest!();
    if m > 255 || (26_000..40_000).contains(&out.len()) {
        if let Some(last) = out.last_mut() {
            *last = f32::from_bits(last.to_bits() ^ 1);
        }
    }
}
