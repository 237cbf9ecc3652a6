"""`lar explain` on real code: what rustc made of kernels whose loops are known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from lance_autoresearch.build.builder import compose_first_kernel
from lance_autoresearch.cli.app import run_command_line as lar
from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.explain.assembly import (
    Function,
    demangle_symbol,
    emit_assembly,
    parse_assembly,
)
from lance_autoresearch.explain.explanation import find_widest_vector
from lance_autoresearch.explain.isa import AARCH64, X86, select_isa
from lance_autoresearch.explain.loops import LoopFacts, describe_op
from lance_autoresearch.explain.model import LLVM_MCA, ask_models
from lance_autoresearch.host.toolchain import Toolchain

ROOT = Path(__file__).resolve().parents[2]
HOST = Toolchain.probe(ROOT).host
ISA = select_isa(HOST)
X86_ONLY = pytest.mark.skipif(ISA is not X86, reason="reads x86-64 assembly")

KERNELS = b"""
pub fn blend(input: &[f32], weights: &[f32], out: &mut [f32]) -> usize {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = x * 3.0 + weights[0];
    }
    input.len()
}

#[inline(never)]
fn keep(byte: u8) -> bool {
    std::hint::black_box(byte) != 0
}

pub fn compact(input: &[u8], out: &mut [u8]) -> usize {
    let mut written = 0;
    for &byte in input {
        if keep(byte) {
            out[written] = byte;
            written += 1;
        }
    }
    written
}
"""


def parse(text: bytes) -> Mapping[str, tuple[Function, ...]]:
    return parse_assembly(emit_assembly(ROOT, "_toy", text))


def loops_of(op: str, text: bytes = KERNELS) -> tuple[LoopFacts, ...]:
    return describe_op(parse(text), op, ISA).loops


def test_a_vector_loop_shows_its_width_and_step() -> None:
    hot = loops_of("blend")[0]
    widths = {X86: 256, AARCH64: 128}
    assert hot.function == "kernels::blend"
    assert hot.vector_bits == widths[ISA]
    assert hot.step_bytes is not None and hot.step_bytes % (hot.vector_bits // 8) == 0
    assert hot.loads and hot.stores and not hot.callees and not hot.checks and not hot.spills
    assert hot.lines is not None and 2 <= hot.lines[0] <= hot.lines[1] <= 6


def test_a_scalar_loop_shows_its_call_and_its_bounds_check() -> None:
    hot = loops_of("compact")[0]
    assert hot.vector_bits == 0
    assert hot.callees == ("kernels::keep",)
    assert hot.checks == 1  # out[written]


def test_a_check_that_is_gone_is_not_counted() -> None:
    (old, new) = b"out[written] = byte;", b"unsafe { *out.get_unchecked_mut(written) = byte; }"
    assert loops_of("compact", KERNELS.replace(old, new))[0].checks == 0


@X86_ONLY
def test_slots_on_the_stack_are_counted() -> None:
    """Twenty sums that live through a call have no registers to live in."""
    sums = "".join(f"let mut s{i} = {i}u64;" for i in range(20))
    adds = "".join(f"s{i} = s{i}.rotate_left({i + 1}) ^ x;" for i in range(20))
    total = "^".join(f"s{i}" for i in range(20))
    body = (f"{sums} for &b in input {{ let x = u64::from(keep(b)); {adds} }} "
            f"out[0] = ({total}) as u8; 1 }}")  # fmt: skip
    head = KERNELS.decode().partition("    let mut written")[0]
    assert loops_of("compact", f"{head}{body}".encode())[0].spills >= 20


def test_functions_that_an_op_cannot_reach_are_left_out() -> None:
    code = describe_op(parse(KERNELS), "blend", ISA)
    assert "kernels::keep" not in code.functions
    assert "kernels::keep" in describe_op(parse(KERNELS), "compact", ISA).functions


def test_an_op_that_was_inlined_into_the_contract_is_found_there() -> None:
    inlined = KERNELS.replace(b"pub fn blend", b"#[inline(always)]\npub fn blend")
    code = describe_op(parse(inlined), "blend", ISA)
    assert code.functions[0] == "contract::blend"
    assert code.loops[0].vector_bits


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_ZN7kernels4wide9distances17h4a2c1236290b1730E", "kernels::wide::distances"),
        ("_ZN7kernels5scan8E", "kernels::scan8"),
        ("_ZN40_$LT$A$u20$as$u20$core..clone..Clone$GT$5clone17h0123456789abcdefE",
         "<A as core::clone::Clone>::clone"),
        ("_RNvNtNtCsgEmfK2I1SDS_4core9panicking9panic_fmt", "core::panicking::panic_fmt"),
        ("memcpy", "memcpy"),
        ("_ZN99999kernels", ""),
    ],
)  # fmt: skip
def test_symbols_are_read(symbol: str, name: str) -> None:
    assert demangle_symbol(symbol) == name


def test_what_does_not_compile_is_refused_with_its_line() -> None:
    with pytest.raises(RejectedKernel) as refused:
        emit_assembly(ROOT, "_toy", KERNELS + b"fn broken( {}\n")
    assert "kernels.rs" in str(refused.value.where)


@X86_ONLY
@pytest.mark.skipif(not any(map(shutil.which, LLVM_MCA)), reason="llvm-mca is not installed")
def test_a_model_bounds_a_loop_by_what_its_ports_can_do() -> None:
    loop = loops_of("blend")[0]
    (answer,) = [a for a in ask_models(loop, ISA, "haswell") if a.tool.startswith("llvm-mca")]
    vectors = loop.step_bytes // (loop.vector_bits // 8) if loop.step_bytes else 0
    assert answer.cycles is not None and answer.cycles >= vectors  # one store port on Haswell
    (other,) = [a for a in ask_models(loop, ISA, "amd-99-1") if a.tool.startswith("llvm-mca")]
    assert other.cycles is None and "amd-99-1" in other.limit


def test_a_tier_without_avx512_has_no_wider_vectors() -> None:
    avx512 = 1 << 8
    assert find_widest_vector("native", avx512) is None
    assert find_widest_vector("avx2", avx512) == 256
    assert find_widest_vector("native", 0) == 256
    assert find_widest_vector("avx512", 0) is None


def test_the_command_prints_at_most_forty_lines_and_as_json_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = tmp_path / "kernels.rs"
    first.write_bytes(compose_first_kernel(ROOT, "_toy"))
    changed = tmp_path / "changed.rs"
    changed.write_bytes(KERNELS)
    assert lar(["explain", "_toy", "--kernel", str(changed), "--untimed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith("explain _toy: changed.rs beside Lance's own code, on ")
    assert any("calls kernels::keep" in line for line in lines)
    assert any("not measured" in line for line in lines)
    assert lar(["explain", "_toy", "--kernel", str(first), "--untimed", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ops"]["blend"]["same_loops"] and not found["ops"]["blend"]["difference"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["explain", "no-such"], "no-such"),
        (["explain", "_toy", "--op", "scan9"], "blend"),
        (["explain", "_toy", "--trial", "1", "--kernel", "x.rs"], "--trial N"),
        (["explain", "_toy", "--tier", "sse"], "avx2"),
        (["explain", "_toy", "--kernel", "/no/such/file.rs"], "file.rs"),
    ],
)
def test_wrong_use_is_answered_with_what_is_allowed(
    words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert lar(words) in (3, 64)
    seen = capfd.readouterr()
    assert says in seen.err + seen.out and "Traceback" not in seen.err


def test_a_wrong_kernel_is_explained_and_not_timed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.rs"
    wrong.write_bytes(KERNELS)
    assert lar(["explain", "_toy", "--kernel", str(wrong), "--op", "blend", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["headroom"] and found["not_measured"]
    assert found["ops"]["blend"]["kernel"]["loops"]


@pytest.mark.timing
def test_a_kernel_that_waits_is_far_from_reading_and_writing_alone(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    slow = tmp_path / "slow.rs"
    wait = b"for i in 0..40_000u64 { std::hint::black_box(i); }\n    for (out, &x)"
    slow.write_bytes(compose_first_kernel(ROOT, "_toy").replace(b"for (out, &x)", wait))
    assert lar(["explain", "_toy", "--kernel", str(slow), "--op", "blend", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    if not found["headroom"]:
        pytest.skip(f"the machine is too busy: {found['not_measured']}")
    for row in found["headroom"]:
        assert row["kernel_ns"] > 10 * row["memory_ns"] > 0
