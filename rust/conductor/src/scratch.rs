//! Which pages of the workers' scratch memories exist: a kernel can have left something in no others.
//!
//! A page appears when it is first read or written, and stays. The system's kernel tells which ones
//! there are, at no cost to the worker, and without trust in it.

use crate::shm::Shared;
use lar_abi::wire::{Range, Setup, scratch_pieces};

/// Ranges that one window lists at most; further gaps between ranges are closed.
pub const MAX_WIPES: usize = 64;

/// The pages of all workers of a command, as offsets `(from, to)` in order.
#[derive(Default)]
pub struct Pages {
    known: Vec<(u64, u64)>,
    /// Bytes of each worker's memory when it was last looked at.
    seen: Vec<u64>,
}

impl Pages {
    /// Looks for new pages of these memories. Their workers must sleep.
    pub fn survey<'a>(&mut self, memories: impl Iterator<Item = &'a Shared>) {
        for (i, memory) in memories.enumerate() {
            let used = memory.used();
            if self.seen.len() == i {
                self.seen.push(0);
            }
            if self.seen[i] != used {
                self.seen[i] = used;
                self.known.extend(memory.data());
            }
        }
        if self.seen.iter().sum::<u64>() > 0 {
            join(&mut self.known);
        }
    }

    /// What exists outside of `from..to`, as ranges `(from, to)`.
    pub fn outside(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let around =
            move |&(first, last): &(u64, u64)| [(first, last.min(from)), (first.max(to), last)];
        self.known.iter().flat_map(around).filter(|(first, last)| first < last)
    }

    /// The same pages, as a worker sees them.
    pub fn ranges(&self, setup: &Setup) -> Vec<Range> {
        let mut all = Vec::with_capacity(self.known.len());
        for (at, addr, len) in scratch_pieces(setup) {
            for &(from, to) in &self.known {
                let (from, to) = (from.max(at), to.min(at + len));
                if from < to {
                    all.push(Range { addr: addr + from - at, len: to - from });
                }
            }
        }
        all
    }
}

/// Sorts and joins what touches; closes the smallest gaps until few enough are left.
fn join(ranges: &mut Vec<(u64, u64)>) {
    ranges.sort_unstable();
    let mut gap = 0;
    loop {
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for &(from, to) in ranges.iter() {
            match joined.last_mut() {
                Some(last) if from <= last.1 + gap => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        *ranges = joined;
        // Up to three ranges more: those that cross from one piece of the memory to the next.
        if ranges.len() + 3 <= MAX_WIPES {
            return;
        }
        gap = (2 * gap).max(4096);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_both_workers_are_listed_once() {
        let [mut a, mut b] = [0, 1].map(|_| Shared::new(1 << 20, false).expect("memory"));
        let mut pages = Pages::default();
        let page = |n: u64| (4096 * n, 4096 * (n + 1));
        a.bytes_mut()[4096 * 3] = 1;
        b.bytes_mut()[4096 * 3 + 9] = 1;
        b.bytes_mut()[4096 * 7] = 1;
        pages.survey([&a, &b].into_iter());
        assert_eq!(pages.known, [page(3), page(7)]);
        a.bytes_mut()[4096 * 4] = 1;
        pages.survey([&a, &b].into_iter());
        assert_eq!(pages.known, [(4096 * 3, 4096 * 5), page(7)]);
        let outside: Vec<_> = pages.outside(4096 * 4 + 64, 4096 * 7 + 100).collect();
        assert_eq!(outside, [(4096 * 3, 4096 * 4 + 64), (4096 * 7 + 100, 4096 * 8)]);
    }

    #[test]
    fn many_ranges_become_few_and_none_is_lost() {
        let mut ranges: Vec<(u64, u64)> =
            (0..1000).map(|i| (i * 12288, i * 12288 + 4096)).collect();
        let all = ranges.clone();
        join(&mut ranges);
        assert!(ranges.len() + 3 <= MAX_WIPES);
        assert!(all.iter().all(|a| ranges.iter().any(|r| r.0 <= a.0 && a.1 <= r.1)));
    }
}
