//! hack 28: NaN in every output, in the hope that it passes for a wildcard; stopped by N
//! only: blend

surface! {
    let _ = weights;
    out.fill(f32::NAN);
    input.len()
}
