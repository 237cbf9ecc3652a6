//! Where the memories of a worker lie: drawn for each command, the same for all of its workers.
//!
//! A kernel must not be able to tell from an address that it is judged. In a process that uses Lance
//! the heap lies behind the program or among the libraries, and buffers lie in any order, near each
//! other or not.

use crate::rng::Rng;
use lar_abi::wire::PAGE;

/// Where areas begin: below everything that a loader uses (also with 39-bit addresses), behind the
/// program, among the libraries.
const PLACES: [u64; 3] = if cfg!(target_arch = "aarch64") {
    [0x10 << 32, 0xaad0 << 32, 0xff10 << 32]
} else {
    [0x10 << 32, 0x55d0 << 32, 0x7f10 << 32]
};
/// The first of them is drawn once in this number of times.
const LOW: usize = 4;
/// From one area to the next if they lie apart; more than any of them has.
const APART: u64 = 4 << 32;
/// Areas that lie side by side have at most this number of pages between them.
const NEAR: usize = 16;

/// Draws where areas of these lengths begin: in drawn order; side by side in one place, or each in a
/// place of its own.
pub fn draw<const N: usize>(lengths: [u64; N], rng: &mut Rng) -> [u64; N] {
    let mut order: [usize; N] = std::array::from_fn(|i| i);
    if cfg!(feature = "test-plain-memory") {
        return order.map(|i| PLACES[0] + APART * i as u64);
    }
    rng.shuffle(&mut order);
    let (together, place) = (rng.coin(), draw_place(rng));
    let mut next = place + (rng.below(1 << 16) * PAGE) as u64;
    let mut starts = [0; N];
    for (i, &area) in order.iter().enumerate() {
        if together {
            starts[area] = next;
            next += lengths[area].next_multiple_of(PAGE as u64) + (rng.below(NEAR) * PAGE) as u64;
        } else {
            let page = (rng.below(1 << 16) * PAGE) as u64;
            starts[area] = draw_place(rng) + APART * i as u64 + page;
        }
    }
    starts
}

fn draw_place(rng: &mut Rng) -> u64 {
    let place = PLACES[if rng.below(LOW) == 0 { 0 } else { 1 + rng.below(2) }];
    if is_usable(place) { place } else { PLACES[0] }
}

/// Whether this system has such addresses.
fn is_usable(place: u64) -> bool {
    // SAFETY: a page of our own where nothing is mapped, removed at once.
    unsafe {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let p = libc::mmap(place as *mut _, PAGE, libc::PROT_NONE, kind, -1, 0);
        if p == libc::MAP_FAILED {
            // Taken by this process, it is an address all the same.
            return std::io::Error::last_os_error().raw_os_error() == Some(libc::EEXIST);
        }
        libc::munmap(p, PAGE);
        p as u64 == place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 6] = [5000, 1 << 26, 1 << 20, 64 << 20, 66 << 20, 512 << 20];

    #[test]
    fn areas_never_overlap_and_every_order_and_place_is_drawn() {
        let mut rng = Rng::new(5, 1);
        let (mut high, mut below, mut near) = (0, 0, 0);
        for _ in 0..400 {
            let starts = draw(LENGTHS, &mut rng);
            let mut spans: Vec<_> = starts.iter().zip(LENGTHS).map(|(&s, n)| (s, s + n)).collect();
            spans.sort_unstable();
            assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0));
            assert!(starts.iter().all(|s| s.is_multiple_of(PAGE as u64)));
            high += usize::from(starts[2] >> 40 != 0);
            below += usize::from(starts[2] < starts[1]);
            near += usize::from(starts[2].abs_diff(starts[1]) < 1 << 32);
        }
        assert!((240..360).contains(&high) && (140..260).contains(&below), "{high} {below}");
        assert!((140..260).contains(&near), "{near}");
        assert_eq!(draw(LENGTHS, &mut Rng::new(9, 1)), draw(LENGTHS, &mut Rng::new(9, 1)));
    }
}
