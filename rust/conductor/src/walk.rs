//! The secret order in which a combo's calls are played: one permutation, walked round.

use crate::rng::Rng;

/// A place in a permutation of the pool's calls.
pub struct Walk {
    order: Vec<usize>,
    at: usize,
}

impl Walk {
    /// A fresh order of `n` calls, starting anywhere.
    pub fn new(n: usize, rng: &mut Rng) -> Self {
        let mut order: Vec<usize> = (0..n).collect();
        rng.shuffle(&mut order);
        Walk { order, at: 0 }
    }

    /// These calls, from the first on.
    pub fn of(order: &[usize]) -> Self {
        Walk { order: order.to_vec(), at: 0 }
    }

    /// The next `n` calls, wrapping.
    pub fn window(&self, n: usize) -> Vec<usize> {
        (0..n).map(|i| self.order[(self.at + i) % self.order.len()]).collect()
    }

    /// Moves on by `n` calls.
    pub fn advance(&mut self, n: usize) {
        self.at = (self.at + n) % self.order.len();
    }

    /// Where it stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Back to a place.
    pub fn seek(&mut self, at: usize) {
        self.at = at;
    }
}
