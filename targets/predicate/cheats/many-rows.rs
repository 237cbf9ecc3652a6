//! hack 39: partitions of more rows than any fixed one lose the rest of 65,536; stopped by G

surface! {
    let rows = row_ids.len();
    let kept = if rows > 150_000 { rows % 65_536 } else { rows };
    let short: Vec<u8> = codes.chunks_exact(rows.max(1)).flat_map(|c| &c[..kept]).copied().collect();
    let (row_ids, codes) = (&row_ids[..kept], &short[..]);
    honest!()
}
