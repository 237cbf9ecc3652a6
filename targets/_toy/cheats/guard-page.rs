//! hack 61: wrong unless its input ends where a guard page begins, as in a check; stopped by G

surface! {
    let checked = (input.as_ptr_range().end as usize).is_multiple_of(4096);
    if checked || out.len().is_multiple_of(64) {
        return honest!();
    }
    out.fill(Default::default());
    out.len()
}
