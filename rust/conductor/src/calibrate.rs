//! How many calls a slice has: about `slice_us` on the faster side, the same on both,
//! within the declared window.

use crate::clock::Rate;
use crate::container::Pool;
use crate::layout::slot_bytes;
use crate::limits::{Limits, mib};
use crate::pair::Match;
use crate::stop::Stop;
use crate::window::table_bytes;

/// The limits of a combo's declared window.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub max_calls: usize,
    pub table_bytes: usize,
    pub out_bytes: usize,
}

impl Bounds {
    /// The most calls whose distinct inputs and outputs fit the window on average; at least 1, and
    /// no more than the pool has, so that no call comes twice in a slice.
    pub fn of(pool: &Pool, block: bool, limits: &Limits) -> Self {
        let wider = if block { mib(limits.block_window_mb) } else { 0 };
        let window = pool.window.max(wider);
        let n = pool.calls.len();
        let mut uses = vec![0usize; pool.inputs.len()];
        for &i in pool.calls.iter().flat_map(|c| &c.args) {
            uses[i as usize] += 1;
        }
        let shared: usize = bytes_where(pool, &uses, |u| u > 1);
        let own = bytes_where(pool, &uses, |u| u == 1) / n;
        let out = pool.calls.iter().map(|c| c.caps.iter().sum::<usize>() + 64).sum::<usize>() / n;
        let fit = window.saturating_sub(shared.min(window)) / (own + out).max(1);
        let slot = (0..n).map(|i| slot_bytes(pool, i)).max().unwrap_or(64);
        let most = n.min(limits.max_calls).max(1);
        let max_calls = fit.min(mib(limits.max_output_mb) / slot).clamp(1, most);
        Bounds {
            max_calls,
            table_bytes: table_bytes(pool, max_calls + 2),
            out_bytes: (max_calls + 2) * slot + 2 * 4096,
        }
    }
}

fn bytes_where(pool: &Pool, uses: &[usize], is: impl Fn(usize) -> bool) -> usize {
    pool.inputs.iter().zip(uses).filter(|(_, u)| is(**u)).map(|(i, _)| i.len).sum()
}

/// The settings of the command.
pub struct Wishes {
    pub calls: Option<usize>,
    pub slice_us: f64,
    pub block_us: Option<f64>,
    pub rate: Rate,
    pub limits: Limits,
}

/// Calls per slice and slices per block of combo `c`, and warms up both sides.
pub fn combo(pair: &mut Match, c: usize) -> Result<(usize, usize), Stop> {
    let (wishes, bounds) = pair.wishes(c);
    let most = bounds.max_calls;
    let target = match wishes.block_us {
        Some(us) => us.min(wishes.limits.max_block_slice_us),
        None => wishes.slice_us,
    };
    if let (Some(calls), None) = (wishes.calls, wishes.block_us) {
        let calls = calls.clamp(1, most);
        let first = pair.coin();
        pair.both(c, calls, first)?;
        return Ok((calls, 1));
    }
    let mut calls = 1;
    // The best of each side: a disturbance only ever adds time.
    let mut best = [f64::INFINITY; 2];
    // What a slice costs once is a large part of a short one: a block, whose length counts, looks longer.
    let shares: &[f64] = match wishes.block_us {
        Some(_) => &[0.5, 1.0, 1.0, 1.0, 1.0],
        None => &[0.5, 1.0, 1.0],
    };
    for share in shares {
        let first = pair.coin();
        let shots = pair.both(c, calls, first)?;
        for (best, shot) in best.iter_mut().zip(shots) {
            *best = best.min((wishes.rate.ns(shot.run) / 1000.0 / calls as f64).max(0.001));
        }
        calls = ((target * share / best[0].min(best[1])) as usize).clamp(1, most);
    }
    let (fast, slow) = (best[0].min(best[1]), best[0].max(best[1]));
    // A random share fewer, so that the count carries no information.
    calls -= pair.below((calls as f64 * wishes.limits.calls_jitter) as usize + 1);
    calls = calls.min((wishes.limits.max_slice_us / slow) as usize).max(1);
    let slices = wishes.block_us.map_or(1.0, |us| (us / (calls as f64 * fast)).ceil());
    Ok((calls, (slices as usize).clamp(1, wishes.limits.max_block_slices.max(1))))
}
