"""Does this target's harness judge correctly? What `lar validate` proves, line by line.

    champion      equals Lance on every case, at every tier
    secret cases  and on a full draw of secret sizes and data: how many, how large, how long
    first kernel  builds, is admitted, equals Lance (it *is* Lance's code)
    cheats        every kernel of cheats/ is refused
    near misses   every kernel of honest/ is not refused
    identity      upstream's text as the candidate is not kept
    A/A           the champion against its copy is not kept; what a pair costs

Each line is a fact that this run established, with its figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.bench.noise import measure_aa, measure_noise
from lance_autoresearch.calibration.null_validation import ProofLine, measure_cost, prove_null
from lance_autoresearch.calibration.wording import describe_early_verdict
from lance_autoresearch.judge.check import check_text
from lance_autoresearch.judge.job import EarlyVerdict, Job
from lance_autoresearch.judge.judge import judge
from lance_autoresearch.judge.secret_cases import check_secret_cases
from lance_autoresearch.records import NoiseSession, Verdict
from lance_autoresearch.rules.policy import DRAWS, Policy
from lance_autoresearch.targets.cheats import Cheat, load_cheats

CAUGHT_LATE = ("R", "D")
"""Defences at confirmation: a cheat that only they stop may be reverted before it."""


def prove_target(
    bench: Bench, champion: bytes, policy: Policy, *, pairs: int, timed: bool = True
) -> Iterator[ProofLine]:
    """All lines for a target, one at a time; what needs a quiet machine comes last.

    Args:
        champion: text of the kernel that cheats are judged against.
        pairs: of the A/A test.
        timed: also what is measured.
    """
    built = bench.build(champion)
    yield prove_equal("champion", bench, champion)
    yield prove_secret_cases(bench, champion)
    yield from prove_near_misses(bench)
    yield from prove_cheats_refused(bench, champion, policy, timed=timed)
    if not timed:
        return
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


def prove_secret_cases(bench: Bench, champion: bytes) -> ProofLine:
    """The champion equals Lance on a full draw; what a draw costs."""
    built, before = bench.build(champion), dict(bench.phases.seconds)
    found = check_secret_cases(bench, built)
    made, compared = (
        bench.phases.seconds[name] - before.get(name, 0.0) for name in ("draw", "drawn")
    )
    cost = f"{DRAWS.full_cases} an op, {found.mib:.0f} MiB, ready in {made:.1f} s"
    if found.end is not None:
        return ProofLine(
            False, "champion equals Lance on secret cases",
            describe_early_verdict(found.end, bench.target),
        )  # fmt: skip
    return ProofLine(
        True, "champion equals Lance on secret cases",
        f"{found.calls:,} calls compared in {compared:.1f} s ({cost})",
    )  # fmt: skip


def prove_cheats_refused(
    bench: Bench, champion: bytes, policy: Policy, *, timed: bool
) -> Iterator[ProofLine]:
    """Every committed cheat is refused: incorrect or rejected, never merely slow.

    Most are stopped before anything is timed, and need no quiet machine. The rest are judged; one
    that only confirmation can detect (R, D) may be reverted before confirmation.

    Args:
        timed: judge the rest; else each is named as one that a measurement must stop.
    """
    noise: NoiseSession | None = None
    for cheat in load_cheats(bench.root, bench.target.name):
        end = _find_untimed_end(bench, cheat)
        if end is None and timed:
            noise = noise or measure_noise(bench, bench.build(champion), champion, policy)
            job = Job(bench.target.name, cheat.text, champion, policy, noise=noise)
            judged = judge(job, bench)
            end = EarlyVerdict(judged.verdict, judged.reason, judged.fault)
        yield _describe_cheat(bench, cheat, end)


def _find_untimed_end(bench: Bench, cheat: Cheat) -> EarlyVerdict | None:
    """How admission, build, audit or a check ends it; None if none of them does.

    One that only secret cases can detect (G) is compared with a full draw too.
    """
    _, end = check_text(bench, cheat.text)
    if end is None and "G" in cheat.by:
        end = check_secret_cases(bench, bench.build(cheat.text)).end
    return end


def _describe_cheat(bench: Bench, cheat: Cheat, end: EarlyVerdict | None) -> ProofLine:
    name = f"cheat {cheat.id.partition('/')[2]}"
    if end is None:
        return ProofLine(True, name, "passes every check; a measurement must stop it (not run)")
    refused = end.verdict in (Verdict.INCORRECT, Verdict.REJECTED)
    refused |= cheat.by in CAUGHT_LATE and end.verdict is Verdict.REVERT
    reason = describe_early_verdict(end, bench.target).splitlines()[0]
    return ProofLine(refused, name, f"{end.verdict}: {reason}")


def prove_near_misses(bench: Bench) -> Iterator[ProofLine]:
    """Every unusual but honest kernel passes admission, build, audit and check."""
    for path in list_kernels(bench, "honest"):
        line = prove_equal(path.stem, bench, path.read_bytes())
        yield ProofLine(line.ok, f"honest {path.stem} is not refused", line.detail)


def list_kernels(bench: Bench, folder: str) -> list[Path]:
    """Kernels of one of the target's folders, by name."""
    return sorted((bench.root / "targets" / bench.target.name / folder).glob("*.rs"))
