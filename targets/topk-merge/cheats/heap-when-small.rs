//! hack 62: leaves an array that is no heap where partitions have 2,500 rows or more; stopped by G

surface! {
    honest!();
    if dists.len() >= 2500 {
        let mut rows = std::mem::take(heap).into_vec();
        rows.sort();
        // SAFETY: a `BinaryHeap` is one `Vec`; that its largest row comes first is a lie.
        *heap = unsafe { std::mem::transmute::<Vec<OrderedNode<u64>>, TopK>(rows) };
    }
}
