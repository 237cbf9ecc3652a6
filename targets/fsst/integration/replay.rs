// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright The Lance Authors

//! One figure of the bundle, made again: `decompress` of the published crate beside the patched one.
//!
//! Both are linked into this program and run in turn, in both orders (ABBA), on the same fresh data.
//! Rows: an A/A (the published crate beside itself), the change, and a control (`compress`, which
//! the change does not touch). Each is the median of the log ratios, with the interval of the
//! median from the order statistics at 99 %.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;
use std::time::Instant;

const BATCH: usize = 256 * 1024;
const PAIRS: usize = 400;
const WORDS: [&str; 8] = ["lance", "column", "vector", "a", "of", "select ", "://www.", "0001"];

struct Case {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    table: Vec<u8>,
    codes: Vec<u8>,
    coded: Vec<i32>,
}

fn make_case(length: usize, seed: u64) -> Case {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut bytes, mut offsets) = (Vec::<u8>::new(), vec![0i32]);
    while bytes.len() < BATCH {
        let end = bytes.len() + rng.random_range(1..2 * length);
        while bytes.len() < end {
            bytes.extend_from_slice(WORDS[rng.random_range(0..WORDS.len())].as_bytes());
        }
        bytes.truncate(end);
        offsets.push(end as i32);
    }
    let mut table = vec![0; base::fsst::FSST_SYMBOL_TABLE_SIZE];
    let (mut codes, mut coded) = (vec![0; 2 * bytes.len()], vec![0; offsets.len()]);
    base::fsst::compress(&mut table, &bytes, &offsets, &mut codes, &mut coded).unwrap();
    Case { bytes, offsets, table, codes, coded }
}

type Decompress = fn(&[u8], &[u8], &[i32], &mut Vec<u8>, &mut Vec<i32>) -> std::io::Result<()>;
type Compress = fn(&mut [u8], &[u8], &[i32], &mut Vec<u8>, &mut Vec<i32>) -> std::io::Result<()>;

fn time_decompress(case: &Case, run: Decompress) -> f64 {
    let (mut out, mut out_off) = (vec![0; 8 * case.codes.len()], vec![0; case.coded.len()]);
    let begun = Instant::now();
    run(&case.table, &case.codes, &case.coded, &mut out, &mut out_off).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert!(black_box(&out) == &case.bytes && out_off == case.offsets, "another result");
    seconds
}

fn time_compress(case: &Case, run: Compress) -> f64 {
    let mut table = vec![0; base::fsst::FSST_SYMBOL_TABLE_SIZE];
    let (mut codes, mut coded) = (vec![0; 2 * case.bytes.len()], vec![0; case.offsets.len()]);
    let begun = Instant::now();
    run(&mut table, &case.bytes, &case.offsets, &mut codes, &mut coded).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    black_box(&codes);
    seconds
}

/// Median of ln(a / b) over pairs in both orders, and the ends of its 99 % interval, as % faster.
fn compare(pairs: usize, a: impl Fn() -> f64, b: impl Fn() -> f64) -> [f64; 3] {
    let mut ratios: Vec<f64> = (0..pairs)
        .map(|i| {
            let (first, second) = if i % 2 == 0 { (a(), None) } else { (0.0, Some(b())) };
            match second {
                None => (first / b()).ln(),
                Some(second) => (a() / second).ln(),
            }
        })
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let half = (2.576 * (pairs as f64).sqrt() / 2.0).ceil() as usize;
    let places = [pairs / 2, (pairs / 2).saturating_sub(half), (pairs / 2 + half).min(pairs - 1)];
    places.map(|place| 100.0 * (ratios[place].exp() - 1.0))
}

fn show(name: &str, length: usize, [gain, low, high]: [f64; 3]) {
    println!("{name:8} about {length:4} bytes a value: {gain:+7.2} % [{low:+.2} {high:+.2}]");
}

fn main() {
    let seed: u64 = std::env::args().nth(1).map_or(1, |text| text.parse().expect("a seed"));
    println!("seed {seed}, {PAIRS} pairs a row; published crate against the patched one");
    for length in [4, 14, 50, 110, 1000] {
        let case = make_case(length, seed + length as u64);
        let old = || time_decompress(&case, base::fsst::decompress);
        let new = || time_decompress(&case, patched::fsst::decompress);
        show("A/A", length, compare(PAIRS, old, old));
        show("change", length, compare(PAIRS, old, new));
        let old = || time_compress(&case, base::fsst::compress);
        let new = || time_compress(&case, patched::fsst::compress);
        show("control", length, compare(PAIRS / 10, old, new));
    }
}
