//! hack 39: counts the values of a chunk in 16 bits, right for every page that Lance writes; stopped by G
//! only: take_fsst take_i64

surface! {
    let ranges: Vec<_> = picks
        .ranges
        .iter()
        .map(|&[start, end]| match end > 65_536 {
            true => [start & 65_535, (start & 65_535) + (end - start)],
            false => [start, end],
        })
        .collect();
    let picks = Picks { ranges: &ranges, ..picks };
    honest!()
}
