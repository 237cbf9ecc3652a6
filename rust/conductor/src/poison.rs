//! Random bytes that fill every output before a slice and its slack for ever.
//!
//! One random block a pair, laid at a fresh random offset for every slice: filling and
//! checking cost a memcpy and a memcmp.

use crate::rng::Rng;

const BLOCK: usize = 64 << 10;

/// The poison of one slice.
pub struct Poison {
    /// The block twice, so that any piece up to BLOCK bytes is contiguous.
    twice: Vec<u8>,
    offset: usize,
}

impl Poison {
    /// A fresh random block.
    pub fn new(rng: &mut Rng) -> Self {
        let mut twice = vec![0; BLOCK];
        if !cfg!(feature = "test-no-poison") {
            rng.fill(&mut twice);
        }
        twice.extend_from_within(..);
        Poison { twice, offset: 0 }
    }

    /// Moves on to the next slice's poison.
    pub fn renew(&mut self, rng: &mut Rng) {
        self.offset = rng.below(BLOCK);
    }

    /// The poison of memory offset `at`, as far as it is contiguous.
    fn piece(&self, at: usize, len: usize) -> &[u8] {
        let from = (at + self.offset) % BLOCK;
        &self.twice[from..from + len.min(BLOCK)]
    }

    /// Fills `memory[at..at + len]`.
    pub fn fill(&self, memory: &mut [u8], mut at: usize, mut len: usize) {
        while len > 0 {
            let piece = self.piece(at, len);
            memory[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
            len -= piece.len();
        }
    }

    /// Offset of the first byte of `memory[at..at + len]` that is no longer poison.
    pub fn broken(&self, memory: &[u8], mut at: usize, mut len: usize) -> Option<usize> {
        while len > 0 {
            let piece = self.piece(at, len);
            let now = &memory[at..at + piece.len()];
            if now != piece {
                return now.iter().zip(piece).position(|(a, b)| a != b).map(|i| at + i);
            }
            at += piece.len();
            len -= piece.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_byte_is_found_across_block_borders() {
        let mut rng = Rng::new(1, 2);
        let mut poison = Poison::new(&mut rng);
        let mut memory = vec![0; 3 * BLOCK + 17];
        for _ in 0..8 {
            poison.renew(&mut rng);
            let len = memory.len() - 5;
            poison.fill(&mut memory, 5, len);
            assert_eq!(poison.broken(&memory, 5, len), None);
            let at = 5 + rng.below(len);
            memory[at] ^= 1;
            assert_eq!(poison.broken(&memory, 5, len), Some(at));
        }
    }
}
