// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors

//! Every tier against the portable one, and that against the code that decodes value by value.

use super::{Tier, decode};
use crate::fsst::{FSST_SYMBOL_TABLE_SIZE, compress};
use arrow_array::OffsetSizeTrait;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::mem::MaybeUninit;

const BATCH: usize = 64 * 1024;

/// Tiers of this processor, the portable one first.
fn tiers() -> Vec<Tier> {
    let mut found = vec![Tier::Portable];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("sse4.2") {
            found.push(Tier::Sse42);
        }
        if Tier::host() == Tier::Avx512 {
            found.push(Tier::Avx512);
        }
    }
    found
}

/// A symbol table, codes and offsets of values of up to `longest` bytes.
fn encode(rng: &mut SmallRng, longest: usize, noise: bool) -> (Vec<u8>, Vec<u8>, Vec<i32>) {
    let words = ["lance", "column", "vector", "a", "of", "select ", "\u{1F980}", "://www.", "0001"];
    let (mut bytes, mut offsets) = (Vec::<u8>::new(), vec![0]);
    while bytes.len() < BATCH {
        let end = bytes.len() + rng.random_range(0..=longest);
        while bytes.len() < end {
            if noise {
                bytes.push(rng.random());
            } else {
                bytes.extend_from_slice(words[rng.random_range(0..words.len())].as_bytes());
            }
        }
        bytes.truncate(end);
        offsets.push(bytes.len() as i32);
    }
    let mut table = vec![0; FSST_SYMBOL_TABLE_SIZE];
    let (mut codes, mut coded) = (vec![0; 2 * bytes.len()], vec![0; offsets.len()]);
    compress(&mut table, &bytes, &offsets, &mut codes, &mut coded).unwrap();
    (table, codes, coded)
}

fn run<T: OffsetSizeTrait>(
    tier: Tier,
    table: &[u8],
    codes: &[u8],
    offsets: &[T],
) -> Option<(Vec<u8>, Vec<T>)> {
    let mut out = vec![0; 8 * codes.len()];
    let mut out_offsets = vec![T::usize_as(0); offsets.len()];
    // SAFETY: initialised bytes seen as bytes that need not be.
    let view = unsafe { &mut *(std::ptr::from_mut(&mut out[..]) as *mut [MaybeUninit<u8>]) };
    let bytes = decode(tier, table, codes, offsets, view, &mut out_offsets).ok()?;
    out.truncate(bytes);
    Some((out, out_offsets))
}

/// The same by the code that this change leaves in place for errors.
fn run_by_value(table: &[u8], codes: &[u8], offsets: &[i32]) -> Option<(Vec<u8>, Vec<i32>)> {
    let (mut out, mut out_offsets) = (vec![0; 8 * codes.len()], vec![0; offsets.len()]);
    crate::fsst::decompress_by_value(table, codes, offsets, &mut out, &mut out_offsets).ok()?;
    Some((out, out_offsets))
}

fn assert_alike(table: &[u8], codes: &[u8], offsets: &[i32], what: &str) {
    let expected = run_by_value(table, codes, offsets);
    let wide: Vec<i64> = offsets.iter().map(|&o| i64::from(o)).collect();
    for tier in tiers() {
        let found = run(tier, table, codes, offsets);
        assert_eq!(found, expected, "{what}, {tier:?}");
        let found = run(tier, table, codes, &wide);
        let expected = expected.clone().map(|(bytes, offsets)| {
            (bytes, offsets.into_iter().map(i64::from).collect::<Vec<_>>())
        });
        assert_eq!(found, expected, "{what}, {tier:?}, 64-bit offsets");
    }
}

#[test]
fn test_every_tier_decodes_what_was_encoded() {
    let mut rng = SmallRng::seed_from_u64(1);
    for longest in [0, 1, 7, 8, 9, 14, 50, 255, 4000] {
        for noise in [false, true] {
            if longest == 0 {
                continue;
            }
            let (table, codes, offsets) = encode(&mut rng, longest, noise);
            assert_alike(&table, &codes, &offsets, &format!("values of up to {longest} bytes"));
        }
    }
}

#[test]
fn test_every_tier_at_every_length_of_the_tail() {
    let mut rng = SmallRng::seed_from_u64(2);
    let (table, codes, offsets) = encode(&mut rng, 14, false);
    for n in 0..200 {
        let part = &offsets[..n.min(offsets.len())];
        assert_alike(&table, &codes, part, &format!("{n} offsets"));
        let end = part.last().map_or(0, |&o| o as usize);
        assert_alike(&table, &codes[..end], part, &format!("{n} offsets, no codes behind"));
    }
}

#[test]
fn test_every_tier_refuses_what_the_other_code_refuses() {
    let mut rng = SmallRng::seed_from_u64(3);
    let (table, codes, offsets) = encode(&mut rng, 14, true);
    for i in 0..60 {
        let (mut table, mut codes, mut offsets) = (table.clone(), codes.clone(), offsets.clone());
        match i % 5 {
            0 => table[rng.random_range(0..8 + 2048)] = rng.random(),
            1 => table[rng.random_range(8..FSST_SYMBOL_TABLE_SIZE)] = rng.random(),
            2 => offsets[rng.random_range(0..9)] = rng.random_range(-9..BATCH as i32),
            3 => codes.truncate(rng.random_range(0..codes.len())),
            _ => {
                for _ in 0..9 {
                    let place = rng.random_range(0..codes.len());
                    codes[place] = if rng.random() { 255 } else { rng.random() };
                }
            }
        }
        assert_alike(&table, &codes, &offsets, &format!("change {i}"));
    }
}
