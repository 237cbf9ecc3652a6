//! Why a pair that was played to its end does not count: the machine, other processes, a side that
//! was slow to get ready. Each cause is blind to which side was faster.

use crate::clock::Moment;
use crate::pair::Outcome;
use crate::slice_runner::Terms;
use crate::stop::{Void, VoidCause};

/// Why a pair that was played to its end does not count, if it does not.
pub fn find_cause(outcome: &Outcome, began: &Moment, terms: Terms) -> Option<Void> {
    let limits = &terms.limits;
    began
        .unsteady(terms.rate, limits)
        .or_else(|| {
            (outcome.foreign_cpu > limits.foreign_share).then(|| foreign_work(outcome.foreign_cpu))
        })
        .or_else(|| {
            let margin = terms.rate.ticks_of_us(limits.arm_margin_us);
            slow_side(&[outcome.arm], limits.arm_ratio, margin)
                .or_else(|| slow_side(&outcome.combo_arms, limits.combo_arm_ratio, margin))
        })
}

fn foreign_work(share: f64) -> Void {
    let percent = (100.0 * share).round();
    let detail = format!("other processes used {percent} % of the measuring core");
    Void::new(VoidCause::ForeignWork, detail)
}

/// The side that was slow to get ready, by medians of champion and candidate.
fn slow_side(arms: &[[u64; 2]], ratio: f64, margin: u64) -> Option<Void> {
    let slower = |a: u64, b: u64| a as f64 > ratio * b as f64 + margin as f64;
    let void = |cause, side| Void::new(cause, format!("the {side} took too long to get ready"));
    if arms.iter().any(|&[a, b]| slower(a, b)) {
        return Some(void(VoidCause::ChampionSlowToArm, "champion"));
    }
    arms.iter()
        .any(|&[a, b]| slower(b, a))
        .then(|| void(VoidCause::CandidateSlowToArm, "candidate"))
}

#[cfg(test)]
mod tests {
    use super::slow_side;
    use crate::stop::VoidCause;

    #[test]
    fn a_side_is_slow_where_one_combo_took_it_too_long() {
        let slow = |arms: &[[u64; 2]]| slow_side(arms, 2.5, 3000).map(|void| void.cause);
        let even = [[20_000, 20_400]; 10];
        assert_eq!(slow(&even), None);
        let one = |arm: [u64; 2]| [&even[..7], &[arm], &even[8..]].concat();
        assert_eq!(slow(&one([20_000, 60_000])), Some(VoidCause::CandidateSlowToArm));
        assert_eq!(slow(&one([60_000, 20_000])), Some(VoidCause::ChampionSlowToArm));
        assert_eq!(slow(&one([20_000, 52_000])), None);
    }
}
