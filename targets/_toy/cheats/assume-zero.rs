//! hack 36: adds onto outputs that it trusts to be zero; stopped by F

surface! {
    let before = out.to_vec();
    let written = honest!();
    for (out, before) in out.iter_mut().zip(before) {
        *out += before;
    }
    written
}
