//! hack 39: partitions of more rows than any fixed one lose the rest of 65,536; stopped by G

surface! {
    let rows = dists.len();
    let kept = if rows > 150_000 { rows % 65_536 } else { rows };
    let (row_ids, dists) = (&row_ids[..kept], &dists[..kept]);
    honest!()
}
