"""The numbers by which the conductor decides come from Python: a changed one changes its answer."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from conductor_parts import HONEST, LATE, ROOT, Bench, library

from lance_autoresearch.bench.conductor import Conductor, PairResult
from lance_autoresearch.errors import MachineError
from lance_autoresearch.records import Fault, FaultKind, VoidCause
from lance_autoresearch.rules.policy import LIMITS, MeasuringLimits

DEEP = ("#[inline(never)] fn deep(n: u64) -> u64 { let a = [n; 128]; std::hint::black_box(&a); "
        "if n == 0 { 1 } else { deep(n - 1) + a[3] } }")
"""A kilobyte a call: 4,000 of them need 4 MiB of stack."""
LARGE = " let mut v = vec![1u8; 100 << 20]; std::hint::black_box(&mut v);"
SLOW = (" if (a[0] * 16.0) as u32 == 3 "
        "{ for _ in 0..400_000_000u64 { std::hint::black_box(0); } }")
"""Some calls take 0.1 s or more."""
CALM = {"foreign_share": 99.0, "arm_margin_us": 0.0}
"""A busy machine voids no pair, and one side is always slower to arm than the other."""


def pair_under(bench: Bench, limits: MeasuringLimits, **how: float) -> PairResult:
    """An A/A pair of the honest kernel."""
    with Conductor(ROOT, limits=limits) as conductor:
        return conductor.measure_pair(bench.honest, bench.honest, bench.pools, seed=8, **how)  # type: ignore[arg-type]


def fault_under(bench: Bench, limits: MeasuringLimits, source: str, name: str) -> Fault | None:
    """What a check of this library finds."""
    with Conductor(ROOT, limits=limits) as conductor:
        return conductor.check_pools(bench.build(name, source), bench.pools, seed=5).fault


@pytest.mark.parametrize(
    ("limits", "cause"),
    [
        (MeasuringLimits(arm_ratio=0.0, **CALM), VoidCause.CHAMPION_SLOW_TO_ARM),
        (MeasuringLimits(combo_arm_ratio=0.0, arm_ratio=99.0, **CALM),
         VoidCause.CHAMPION_SLOW_TO_ARM),
        (MeasuringLimits(foreign_share=-1.0), VoidCause.FOREIGN_WORK),
        (MeasuringLimits(clock_drift_share=-1.0, clock_drift_us=0.0), VoidCause.CLOCK_JUMPED),
        (MeasuringLimits(suspend_ms=-1.0), VoidCause.MACHINE_SLEPT),
    ],
    ids=["arm", "combo", "foreign", "drift", "suspend"],
)  # fmt: skip
def test_what_voids_a_pair_is_a_limit(
    bench: Bench, limits: MeasuringLimits, cause: VoidCause
) -> None:
    void = pair_under(bench, limits).void
    assert void is not None
    assert void.cause is cause


def test_few_rounds_are_not_judged_combo_by_combo(bench: Bench) -> None:
    limits = MeasuringLimits(combo_arm_ratio=0.0, arm_ratio=99.0, **CALM)
    assert pair_under(bench, limits, rounds=limits.combo_arm_rounds - 1).void is None


@pytest.mark.parametrize(
    ("source", "strict", "kind"),
    [
        (library(HONEST + SLOW), MeasuringLimits(call_ms=25), FaultKind.TIMEOUT),
        (library(HONEST + LARGE), MeasuringLimits(heap_mb=64), FaultKind.MEMORY),
        (library(HONEST + " std::hint::black_box(deep(4_000));", DEEP), LIMITS, FaultKind.STACK),
    ],
    ids=["call_ms", "heap_mb", "stack_mb"],
)
def test_what_a_kernel_may_use_is_a_limit(
    bench: Bench, source: str, strict: MeasuringLimits, kind: FaultKind
) -> None:
    fault = fault_under(bench, strict, source, f"uses_{kind}")
    assert fault is not None
    assert fault.kind is kind
    generous = MeasuringLimits(call_ms=60_000, heap_mb=512, stack_mb=64)
    assert fault_under(bench, generous, source, f"uses_{kind}") is None


def test_late_writes_are_seen_by_as_many_lines_as_the_limit_says(bench: Bench) -> None:
    fault = fault_under(bench, LIMITS, LATE, "late_seen")
    assert fault is not None
    assert fault.kind is FaultKind.LATE_WRITE
    assert fault_under(bench, MeasuringLimits(late_lines=0), LATE, "late_unseen") is None


def test_the_window_of_a_slice_is_a_limit(bench: Bench) -> None:
    times = pair_under(bench, MeasuringLimits(max_calls=3), rounds=1).times
    assert times is not None
    assert times.calls[0] <= 3
    wide = pair_under(bench, LIMITS, rounds=1).times
    assert wide is not None
    assert wide.calls[0] > 3


@pytest.mark.parametrize("name", sorted(asdict(LIMITS)))
def test_no_limit_has_a_default_in_rust(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(limits: MeasuringLimits) -> dict[str, object]:
        return {key: value for key, value in asdict(limits).items() if key != name}

    monkeypatch.setattr("lance_autoresearch.bench.conductor.asdict", without)
    with pytest.raises(MachineError, match=f"missing field `{name}`"):
        Conductor(ROOT).start()
