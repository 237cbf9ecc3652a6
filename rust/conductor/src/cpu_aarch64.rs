//! AArch64 features by the auxiliary vector.

use lar_abi::call::Feature as F;
use std::arch::is_aarch64_feature_detected;

/// Bits of the features that this CPU and system have.
pub fn features() -> u64 {
    let mut word = 0;
    macro_rules! ask {
        ($($name:tt => $feature:ident),+ $(,)?) => {
            $(if is_aarch64_feature_detected!($name) { word |= F::$feature.bit(); })+
        };
    }
    ask! {
        "neon" => Neon, "fp16" => Fp16, "dotprod" => Dotprod, "sve" => Sve, "sve2" => Sve2,
        "i8mm" => I8mm,
    }
    word
}
