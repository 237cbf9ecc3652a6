"""The check: every case once against Lance's outputs, at every CPU tier, until the first fault."""

from __future__ import annotations

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.build.builder import Built
from lance_autoresearch.judge.job import EarlyVerdict, Job
from lance_autoresearch.judge.prepare import prepare
from lance_autoresearch.rules.policy import DEFAULT


def check(bench: Bench, candidate: Built) -> tuple[int, EarlyVerdict | None]:
    """The number of compared calls, and the verdict if one was at fault."""
    bench.begin_trial()
    calls = 0
    with bench.phases("check"):
        for tier in bench.target.tiers:
            result = bench.check_library(candidate.so, tier)
            calls += result.calls
            if result.fault is not None:
                return calls, EarlyVerdict.make_from_fault(result.fault)
    return calls, None


def check_text(bench: Bench, text: bytes) -> tuple[int, EarlyVerdict | None]:
    """The same for a kernel's text, after admission, build and audit; nothing is timed."""
    job = Job(bench.target.name, text, bench.first_kernel, DEFAULT)
    prepared = prepare(job, bench)
    if prepared.built is None:
        return 0, prepared.refusal
    return check(bench, prepared.built)
