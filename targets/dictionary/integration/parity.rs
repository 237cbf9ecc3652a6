// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors

//! Every width of keys, offsets and items against rows that are put together one by one.

use super::{Offset, decode};
use crate::buffer::LanceBuffer;
use crate::data::{BlockInfo, DataBlock, FixedWidthDataBlock, VariableWidthBlock};
use arrow_buffer::ArrowNativeType;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rstest::rstest;

const ITEMS: usize = 50;

/// Items of up to `longest` bytes and their offsets.
fn make_items(rng: &mut SmallRng, longest: usize) -> Vec<Vec<u8>> {
    let mut items: Vec<Vec<u8>> = (0..ITEMS)
        .map(|_| (0..rng.random_range(0..=longest)).map(|_| rng.random()).collect())
        .collect();
    items[0] = vec![];
    items[ITEMS - 1] = vec![b'z'; longest];
    items
}

fn make_block<O: Offset>(items: &[Vec<u8>]) -> DataBlock {
    let mut offsets = vec![O::usize_as(0)];
    let mut at = 0;
    for item in items {
        at += item.len();
        offsets.push(O::usize_as(at));
    }
    DataBlock::VariableWidth(VariableWidthBlock {
        data: LanceBuffer::from(items.concat()),
        offsets: LanceBuffer::reinterpret_vec(offsets),
        bits_per_offset: 8 * size_of::<O>() as u8,
        num_values: items.len() as u64,
        block_info: BlockInfo::new(),
    })
}

fn check<K: ArrowNativeType, O: Offset>(rows: &[usize], items: &[Vec<u8>]) {
    let keys: Vec<K> = rows.iter().map(|&row| K::usize_as(row)).collect();
    let Some(DataBlock::VariableWidth(block)) = decode(&keys, &make_block::<O>(items)) else {
        panic!("was not decoded");
    };
    let offsets = block.offsets.borrow_to_typed_slice::<O>();
    assert_eq!(block.num_values as usize, rows.len());
    assert_eq!(offsets.len(), rows.len() + 1);
    let mut at = 0;
    for (i, &row) in rows.iter().enumerate() {
        assert_eq!(offsets[i].as_usize(), at, "row {i}");
        at += items[row].len();
        assert_eq!(&block.data[offsets[i].as_usize()..at], &items[row][..], "row {i}");
    }
    assert_eq!(block.data.len(), at);
}

#[rstest]
fn test_rows_are_the_items_of_their_keys(
    #[values(1, 8, 16, 17, 32, 33, 64, 65, 96, 97, 300)] longest: usize,
    #[values(1, 2, 63, 1000)] rows: usize,
) {
    let mut rng = SmallRng::seed_from_u64((longest * 10_000 + rows) as u64);
    let items = make_items(&mut rng, longest);
    // The last items are read from a copy: they come often.
    let rows: Vec<usize> = (0..rows)
        .map(|i| if i % 3 == 0 { ITEMS - 1 } else { rng.random_range(0..ITEMS) })
        .collect();
    check::<u8, i32>(&rows, &items);
    check::<u16, i32>(&rows, &items);
    check::<u32, i64>(&rows, &items);
    check::<u64, i64>(&rows, &items);
}

#[test]
fn test_items_without_bytes() {
    let items = vec![vec![]; 4];
    check::<u8, i32>(&[0, 3, 2, 1], &items);
    check::<u64, i64>(&[3; 100], &items);
}

#[rstest]
fn test_items_of_one_width(#[values(1, 2, 3, 8, 12, 16, 40)] width: usize) {
    let data: Vec<u8> = (0..ITEMS * width).map(|i| (i * 7) as u8).collect();
    let items = DataBlock::FixedWidth(FixedWidthDataBlock {
        data: LanceBuffer::from(data.clone()),
        bits_per_value: 8 * width as u64,
        num_values: ITEMS as u64,
        block_info: BlockInfo::new(),
    });
    let keys: Vec<u16> = (0..777).map(|i| (i * 31 % ITEMS) as u16).collect();
    let Some(DataBlock::FixedWidth(block)) = decode(&keys, &items) else {
        panic!("was not decoded");
    };
    assert_eq!(block.data.len(), keys.len() * width);
    for (row, &key) in block.data.chunks_exact(width).zip(&keys) {
        assert_eq!(row, &data[usize::from(key) * width..][..width]);
    }
    assert!(decode(&[0u16, ITEMS as u16], &items).is_none());
}

#[test]
fn test_what_is_corrupt_is_left_to_the_builder() {
    let items = make_items(&mut SmallRng::seed_from_u64(1), 20);
    let good = make_block::<i32>(&items);
    assert!(decode(&[ITEMS as u8], &good).is_none());
    assert!(decode(&[u64::MAX], &good).is_none());
    let DataBlock::VariableWidth(block) = good else { unreachable!() };
    let offsets = block.offsets.borrow_to_typed_slice::<i32>().to_vec();
    for (place, value) in [(3, -1), (3, i32::MAX), (0, -5), (ITEMS, i32::MAX)] {
        let mut bad = offsets.clone();
        bad[place] = value;
        let bad = VariableWidthBlock { offsets: LanceBuffer::reinterpret_vec(bad), ..block.clone() };
        assert!(decode(&[1u32, 2, 3], &DataBlock::VariableWidth(bad)).is_none(), "{place} {value}");
    }
    let short = VariableWidthBlock { num_values: ITEMS as u64 + 1, ..block };
    assert!(decode(&[1u32], &DataBlock::VariableWidth(short)).is_none());
}
