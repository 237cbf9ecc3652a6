//! hack 31: the first value everywhere; stopped by E

surface! {
    let written = honest!();
    if let Some(&first) = out.first() {
        out.fill(first);
    }
    written
}
