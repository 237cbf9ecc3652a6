"""Does this target's harness judge correctly? What `lar validate` proves, line by line.

    champion      equals Lance on every case, at every tier
    first kernel  builds, is admitted, equals Lance (it *is* Lance's code)
    cheats        every kernel of cheats/ is refused
    near misses   every kernel of honest/ is not refused
    identity      upstream's text as the candidate is not kept
    A/A           the champion against its copy is not kept; what a pair costs

Each line is a fact that this run established, with its figure.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.meter import Sides
from lance_autoresearch.bench.noise import measure_aa, measure_noise
from lance_autoresearch.calibration.wording import describe_early_verdict
from lance_autoresearch.judge.check import check_text
from lance_autoresearch.judge.job import EarlyVerdict, Job
from lance_autoresearch.judge.judge import judge
from lance_autoresearch.records import Comparison, Outcome, Verdict
from lance_autoresearch.rules import stats
from lance_autoresearch.rules.confirmation import measure_bias, measure_spread
from lance_autoresearch.rules.gate import run_gate
from lance_autoresearch.rules.policy import Policy
from lance_autoresearch.targets.cheats import load_cheats

PAIR_LIMIT_S = 0.25
"""A target whose A/A pair takes longer makes every trial slow."""


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One established fact."""

    ok: bool
    what: str
    detail: str


def prove_target(
    bench: Bench, champion: bytes, policy: Policy, *, pairs: int
) -> Iterator[ProofLine]:
    """All lines for a target, one at a time.

    Args:
        champion: text of the kernel that cheats are judged against.
        pairs: of the A/A test.
    """
    built = bench.build(champion)
    yield prove_equal("champion", bench, champion)
    yield from prove_cheats_refused(bench, champion, policy)
    yield from prove_near_misses(bench)
    measured = measure_aa(bench, built.so, pairs, policy)
    yield prove_null("A/A: the champion against its copy", measured, policy)
    yield measure_cost(bench, built.so, policy)


def prove_equal(what: str, bench: Bench, text: bytes) -> ProofLine:
    """A kernel is admitted and equals Lance on every case."""
    calls, end = check_text(bench, text)
    if end is not None:
        return ProofLine(False, f"{what} equals Lance", describe_early_verdict(end, bench.target))
    tiers = ", ".join(bench.target.tiers)
    return ProofLine(True, f"{what} equals Lance", f"{calls:,} calls compared ({tiers})")


def prove_cheats_refused(bench: Bench, champion: bytes, policy: Policy) -> Iterator[ProofLine]:
    """Every committed cheat is refused: incorrect or rejected, never merely slow.

    A cheat that only confirmation can detect (defence R) may be reverted before confirmation.
    """
    built = bench.build(champion)
    noise = measure_noise(bench, built, champion, policy)
    for cheat in load_cheats(bench.root, bench.target.name):
        judged = judge(Job(bench.target.name, cheat.text, champion, policy, noise=noise), bench)
        refused = judged.verdict in (Verdict.INCORRECT, Verdict.REJECTED)
        refused |= is_caught_late(cheat.text) and judged.verdict is Verdict.REVERT
        end = EarlyVerdict(judged.verdict, judged.reason, judged.fault)
        reason = describe_early_verdict(end, bench.target).splitlines()[0]
        yield ProofLine(
            refused, f"cheat {cheat.id.partition('/')[2]}", f"{judged.verdict}: {reason}"
        )


def is_caught_late(text: bytes) -> bool:
    """Whether a cheat's first line says that confirmation stops it."""
    return text.split(b"\n", 1)[0].endswith((b"stopped by R", b"stopped by D"))


def prove_near_misses(bench: Bench) -> Iterator[ProofLine]:
    """Every unusual but honest kernel passes admission, build, audit and check."""
    for path in list_kernels(bench, "honest"):
        line = prove_equal(path.stem, bench, path.read_bytes())
        yield ProofLine(line.ok, f"honest {path.stem} is not refused", line.detail)


def prove_null(what: str, measured: Comparison, policy: Policy) -> ProofLine:
    """A comparison of a program with itself is not kept."""
    spread = measure_spread(measured, policy)
    result = run_gate(replace(measured, aa_sd=spread), policy)
    bias = measure_bias(measured, policy)
    detail = (
        f"{bias.gain:+.2f}% [{bias.low:+.2f} {bias.high:+.2f}] over {result.pairs} pairs, "
        f"SD {100 * spread[-1]:.2f}% a pair"
    )
    return ProofLine(result.outcome is not Outcome.KEEP_CANDIDATE, f"{what} is not kept", detail)


def measure_cost(bench: Bench, champion: Path, policy: Policy) -> ProofLine:
    """Seconds of one A/A pair: median of five."""
    meter = bench.make_meter([Sides(champion, champion)], bench.inputs.epoch.timed, policy)
    spent = []
    with bench.hold_machine():
        for _ in range(5):
            begun = time.perf_counter()
            meter.measure_pair()
            spent.append(time.perf_counter() - begun)
    median = stats.median(spent)
    return ProofLine(
        median <= PAIR_LIMIT_S, f"a pair takes at most {PAIR_LIMIT_S} s", f"{median:.3f} s"
    )


def list_kernels(bench: Bench, folder: str) -> list[Path]:
    """Kernels of one of the target's folders, by name."""
    return sorted((bench.root / "targets" / bench.target.name / folder).glob("*.rs"))
