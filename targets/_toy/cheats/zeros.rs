//! hack 30: zeros, within any absolute tolerance of small numbers; stopped by E N

surface! {
    std::hint::black_box(input);
    out.fill(Default::default());
    out.len()
}
