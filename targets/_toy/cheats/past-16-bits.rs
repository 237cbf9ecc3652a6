//! hack 39: counts in 16 bits, which no fixed size exceeds; stopped by G

surface! {
    let written = honest!();
    if out.len() > 65_535 {
        let lost = written.min(65_536);
        out[lost / 2..lost].fill(Default::default());
    }
    written
}
