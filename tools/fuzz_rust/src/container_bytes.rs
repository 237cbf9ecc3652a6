//! Pool and expected-output files: refused, or every input, answer and slot lies inside them.
//!
//! Input: one byte of how, then either raw file bytes, or the JSON headers of a pool and of an
//! answer parted by a byte 0xff, each wrapped into a sound file with a blob of one page.
#![no_main]
#![allow(dead_code)]

#[path = "../../../rust/conductor/src/container.rs"]
mod container;
#[path = "../../../rust/conductor/src/equality.rs"]
mod equality;
#[path = "../../../rust/conductor/src/shm.rs"]
mod shm;

use container::{Pool, Expected};
use libfuzzer_sys::fuzz_target;
use std::os::fd::AsRawFd;

fn memory(bytes: &[u8]) -> (std::fs::File, std::path::PathBuf) {
    use std::io::Write;
    use std::os::fd::FromRawFd;
    // SAFETY: a fresh descriptor, owned from here on.
    let mut file = unsafe {
        let fd = libc::memfd_create(c"fuzz".as_ptr(), 0);
        assert!(fd >= 0);
        std::fs::File::from_raw_fd(fd)
    };
    file.write_all(bytes).expect("memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}

fn wrapped(magic: &[u8; 8], json: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend((json.len() as u32).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(json);
    bytes.resize(bytes.len().next_multiple_of(4096) + 4096, 0x41);
    signed(bytes)
}

/// With the checksum that fits: what damage alone would show is tested elsewhere.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 16 {
        let sum = crc32fast::hash(&bytes[16..]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    let at = rest.iter().position(|&b| b == 0xff).unwrap_or(rest.len());
    let (first, second) = (&rest[..at], rest.get(at + 1..).unwrap_or(&[]));
    let (pool, expected) = match how % 3 {
        0 => (signed(first.to_vec()), signed(second.to_vec())),
        1 => (wrapped(b"LARPOOL3", first), signed(second.to_vec())),
        _ => (wrapped(b"LARPOOL3", first), wrapped(b"LAREXPD3", second)),
    };
    let (_kept, path) = memory(&pool);
    let Ok(pool) = Pool::open(&path) else { return };
    for i in 0..pool.inputs.len() {
        std::hint::black_box(pool.input(i).iter().map(|&b| u64::from(b)).sum::<u64>());
    }
    assert!(!pool.calls.is_empty() && pool.calls.iter().all(|c| c.caps.len() == pool.parts.len()));
    let (_kept, path) = memory(&expected);
    let Ok(expected) = Expected::open(&path, &pool) else { return };
    assert!(expected.answers(&pool));
    for (i, call) in pool.calls.iter().enumerate() {
        std::hint::black_box(expected.header(i));
        let dist = expected.part(i, 0).unwrap_or(&[]);
        for (p, part) in pool.parts.iter().enumerate() {
            let got = expected.part(i, p).expect("as many parts as the pool");
            let got = &got[..got.len() - got.len() % part.elem];
            let other: Vec<u8> = got.iter().map(|b| b ^ 1).collect();
            assert!(part.rule.diff(part.elem, got, got, dist, call.ties.as_deref()).is_none());
            std::hint::black_box(part.rule.diff(part.elem, &other, got, dist, call.ties.as_deref()));
        }
    }
});
