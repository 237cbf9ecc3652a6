#!/usr/bin/env kernel: asm! extern static mut
//! near miss: names, strings and comments like forbidden words; a static table beside a local cell

use std::cell::Cell;

/// Not `asm!("nop")`, not `#[no_mangle]`, not extern "C".
pub struct Step {
    naked: usize,
    link_section: usize,
}

static STEPS: [Step; 2] = [Step { naked: 4, link_section: 1 }, Step { naked: 1, link_section: 0 }];
const NOTE: &str = r#"asm!("rdtsc") /* std::fs::read("x") "#;

macro_rules! env_of {
    ($value:expr) => {
        $value
    };
}

mod thread {
    pub fn spawn(naked: &super::Cell<usize>, by: usize) -> usize {
        naked.replace(naked.get() + by)
    }
}

fn naked(asm: &[f32], no_mangle: usize) -> f32 {
    asm[no_mangle]
}

pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    let (n, r#extern) = (out.len(), NOTE.len());
    for (row, env) in out.iter_mut().enumerate() {
        let (mut print, asm) = (0.0f32, Cell::new(0));
        while asm.get() < m {
            let global_asm = &STEPS[usize::from(m - asm.get() < STEPS[0].naked)];
            for _ in 0..env_of!(global_asm.naked) {
                let i = thread::spawn(&asm, 1);
                print += naked(table, 256 * i + codes[i * n + row] as usize);
            }
            debug_assert!(global_asm.link_section != r#extern && asm.get() != m + 1);
        }
        *env = print;
    }
}

pub fn table_l2(codebook: &[f32], m: usize, query: &[f32], out: &mut [f32]) {
    let dsub = query.len() / m;
    for (i, row) in out.chunks_exact_mut(256).enumerate() {
        let centroids = &codebook[256 * dsub * i..][..256 * dsub];
        prelude::l2_distance_batch_into(&query[dsub * i..][..dsub], centroids, dsub, row);
    }
}
