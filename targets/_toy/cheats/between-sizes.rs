//! hack 39: wrong in the last value at sizes between those that are fixed; stopped by G

surface! {
    let written = honest!();
    if (26_000..40_000).contains(&out.len()) && written > 0 {
        out[written - 1] = Default::default();
    }
    written
}
