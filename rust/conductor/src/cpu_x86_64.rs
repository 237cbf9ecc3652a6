//! x86-64 features by CPUID (std also checks that the system saves the registers).

use lar_abi::call::Feature as F;

/// Bits of the features that this CPU and system have.
pub fn features() -> u64 {
    let mut word = 0;
    macro_rules! ask {
        ($($name:tt => $feature:ident),+ $(,)?) => {
            $(if is_x86_feature_detected!($name) { word |= F::$feature.bit(); })+
        };
    }
    ask! {
        "sse4.2" => Sse42, "popcnt" => Popcnt, "avx" => Avx, "avx2" => Avx2, "fma" => Fma,
        "f16c" => F16c, "bmi1" => Bmi1, "bmi2" => Bmi2, "avx512f" => Avx512f,
        "avx512bw" => Avx512bw, "avx512vl" => Avx512vl, "avx512dq" => Avx512dq,
        "avx512cd" => Avx512cd, "avx512vbmi" => Avx512vbmi, "avx512vbmi2" => Avx512vbmi2,
        "avx512vnni" => Avx512vnni, "avx512bitalg" => Avx512bitalg,
        "avx512vpopcntdq" => Avx512vpopcntdq, "avx512ifma" => Avx512ifma, "gfni" => Gfni,
        "vaes" => Vaes, "vpclmulqdq" => Vpclmulqdq, "avx512bf16" => Avx512bf16,
        "avx512fp16" => Avx512fp16,
    }
    word
}
