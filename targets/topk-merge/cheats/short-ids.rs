//! hack 39: row ids are cut to 48 bits once the heap is full; stopped by G

surface! {
    let cut: Vec<u64>;
    let mut row_ids = row_ids;
    if heap.len() == k {
        cut = row_ids.iter().map(|id| id & 0xffff_ffff_ffff).collect();
        row_ids = &cut;
    }
    honest!()
}
