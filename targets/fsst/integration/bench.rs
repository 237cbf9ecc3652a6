// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors

//! Nanoseconds per value of decoding a batch of strings, for short, middle and long values.
//!
//! cargo run --release -p fsst --example decode

#![allow(clippy::print_stdout)]

use fsst::fsst::{FSST_SYMBOL_TABLE_SIZE, compress, decompress};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;
use std::time::Instant;

const BATCH: usize = 256 * 1024;
const RUNS: usize = 101;
const WORDS: [&str; 8] = ["lance", "column", "vector", "a", "of", "select ", "://www.", "0001"];

fn main() {
    for length in [4, 14, 50, 110, 1000] {
        let mut rng = SmallRng::seed_from_u64(length as u64);
        let (mut bytes, mut offsets) = (Vec::<u8>::new(), vec![0i32]);
        while bytes.len() < BATCH {
            let end = bytes.len() + rng.random_range(1..2 * length);
            while bytes.len() < end {
                bytes.extend_from_slice(WORDS[rng.random_range(0..WORDS.len())].as_bytes());
            }
            bytes.truncate(end);
            offsets.push(end as i32);
        }
        let mut table = vec![0; FSST_SYMBOL_TABLE_SIZE];
        let (mut codes, mut coded) = (vec![0; 2 * bytes.len()], vec![0; offsets.len()]);
        compress(&mut table, &bytes, &offsets, &mut codes, &mut coded).unwrap();
        let mut times = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let (mut out, mut out_offsets) = (vec![0; 8 * codes.len()], vec![0; coded.len()]);
            let begun = Instant::now();
            decompress(&table, &codes, &coded, &mut out, &mut out_offsets).unwrap();
            times.push(begun.elapsed().as_nanos());
            assert_eq!(black_box(&out), &bytes);
        }
        times.sort_unstable();
        let median = times[RUNS / 2] as f64 / (offsets.len() - 1) as f64;
        println!("about {length:4} bytes a value: {median:8.2} ns a value");
    }
}
