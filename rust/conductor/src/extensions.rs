//! Instructions of an object file that need more than the baseline of its builds, a Haswell.

use iced_x86::{CpuidFeature as C, Decoder, DecoderOptions};
use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// For each extension needed, the first function that needs it; of x86-64 alone.
pub fn beyond(file: &object::File) -> Vec<Value> {
    let mut found = BTreeMap::new();
    if file.architecture() == Architecture::X86_64 {
        for section in file.sections().filter(|s| s.kind() == SectionKind::Text) {
            let code = section.data().unwrap_or(&[]);
            for instruction in Decoder::with_ip(64, code, section.address(), DecoderOptions::NONE) {
                for feature in instruction.cpuid_features().iter().filter(|f| !haswell(**f)) {
                    found
                        .entry(format!("{feature:?}"))
                        .or_insert_with(|| function_at(file, &section, instruction.ip()));
                }
            }
        }
    }
    let one = |(feature, function)| json!({"feature": feature, "function": function});
    found.into_iter().map(one).collect()
}

/// The function that holds an address of a section, by its name.
fn function_at(file: &object::File, section: &object::Section, at: u64) -> String {
    file.symbols()
        .filter(|s| s.kind() == SymbolKind::Text && s.section_index() == Some(section.index()))
        .filter(|s| s.address() <= at)
        .max_by_key(|s| s.address())
        .and_then(|s| s.name().ok())
        .map_or_else(|| section.name().unwrap_or("?").to_string(), crate::audit::demangled)
}

/// What `-Ctarget-cpu=haswell` lets the compiler use, and what decodes like it.
fn haswell(feature: C) -> bool {
    matches!(
        feature,
        C::INTEL8086
            | C::INTEL8086_ONLY
            | C::INTEL186
            | C::INTEL286
            | C::INTEL386
            | C::INTEL486
            | C::X64
            | C::FPU
            | C::FPU287
            | C::FPU387
            | C::CMOV
            | C::CX8
            | C::CMPXCHG16B
            | C::MULTIBYTENOP
            | C::PAUSE
            | C::CET_IBT
            | C::FXSR
            | C::XSAVE
            | C::XSAVEOPT
            | C::MMX
            | C::SSE
            | C::SSE2
            | C::SSE3
            | C::SSSE3
            | C::SSE4_1
            | C::SSE4_2
            | C::POPCNT
            | C::LZCNT
            | C::MOVBE
            | C::BMI1
            | C::BMI2
            | C::AVX
            | C::AVX2
            | C::FMA
            | C::F16C
            | C::PCLMULQDQ
    )
}
