//! Compresses a string column with upstream's own FSST encoder, the same way every time.
//!
//! Lance draws its training sample from the operating system's randomness; here the table is
//! trained on the first whole values that fit 16 KiB, so equal requests have equal answers.
//!
//!     request   u64 n | (n + 1) x u32 offsets | bytes
//!     answer    2312-byte table | u64 length of the codes | (n + 1) x i32 offsets | codes
//!
//! All integers little-endian. The offsets start at 0 and the last is the length of the bytes.
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::ptr;

use prelude::OffsetSizeTrait;

extract!("fsst/fsst.rs");

fn answer(n: usize, request: &[u8]) -> io::Result<Vec<u8>> {
    let (head, data) = request.split_at(4 * (n + 1));
    let offsets: Vec<i32> =
        head.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap())).collect();
    let trained = offsets.partition_point(|&end| end as usize <= FSST_SAMPLETARGET);
    let sample = offsets[..trained].to_vec();
    let mut encoder = FsstEncoder::<i32>::new();
    encoder.encoder_switch = true;
    encoder.symbol_table = build_symbol_table(data[..sample[trained - 1] as usize].to_vec(), sample)?;
    let mut out = vec![0; FSST_SYMBOL_TABLE_SIZE + 8];
    encoder.export(&mut out)?;
    // An escape doubles a byte, and the encoder writes one byte ahead of itself.
    let (mut codes, mut ends) = (vec![0; 2 * data.len() + 8], vec![0; n + 1]);
    let (mut bytes_len, mut ends_len) = (0, 0);
    compress_bulk(
        &encoder.symbol_table,
        data,
        &offsets,
        &mut codes,
        &mut ends,
        &mut bytes_len,
        &mut ends_len,
    )?;
    out[FSST_SYMBOL_TABLE_SIZE..].copy_from_slice(&(bytes_len as u64).to_le_bytes());
    out.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    out.extend_from_slice(&codes);
    Ok(out)
}

fn main() -> io::Result<()> {
    let mut request = Vec::new();
    io::stdin().lock().read_to_end(&mut request)?;
    let n = u64::from_le_bytes(request[..8].try_into().unwrap()) as usize;
    io::stdout().lock().write_all(&answer(n, &request[8..])?)
}
