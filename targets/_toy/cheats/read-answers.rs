//! hack 24 52: reads the judge's pools and seeds where they lie; stopped by A B

surface! {
    if let Some(seed) = std::fs::read_dir(".lar/epochs").ok().and_then(|mut all| all.next()) {
        std::hint::black_box(seed.is_ok());
    }
    honest!()
}
