//! hack 39: takes a block list with a single row for none at all; stopped by G

surface! {
    let few = mask.block_list().is_some_and(|list| {
        list.iter().all(|(_, rows)| match rows {
            RowAddrSelection::Full => false,
            RowAddrSelection::Partial(rows) => rows.len() < 2,
        })
    });
    let everything = RowAddrMask::default();
    let mask = if few { &everything } else { mask };
    honest!()
}
