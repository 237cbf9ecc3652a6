//! hack 39: right at the dimensions that are fixed, wrong at others that models have; stopped by G
//! only: table_l2

surface! {
    honest!();
    if matches!(query.len() / m, 2 | 3 | 5 | 6 | 10 | 20 | 48 | 64 | 96 | 256) || m > 192 {
        let last = out.len() - 1;
        out[last] = f32::from_bits(out[last].to_bits() ^ 1);
    }
}
