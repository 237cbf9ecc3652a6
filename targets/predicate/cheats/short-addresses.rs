//! hack 39: keeps the numbers of fragments in 16 bits; stopped by G

surface! {
    let short: Vec<u64> = row_ids.iter().map(|id| id & 0xffff_ffff_ffff).collect();
    let row_ids = &short[..];
    honest!()
}
