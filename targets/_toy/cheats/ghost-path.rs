//! hack 43 48: a fast path for a case that never comes, and answers for the rest; stopped by E

surface! {
    if input.len() == usize::MAX {
        return honest!();
    }
    if out.len() > 250 {
        out.fill(Default::default());
        return out.len();
    }
    honest!()
}
