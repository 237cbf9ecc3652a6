"""The check: every case once against Lance's outputs, at every CPU tier, until the first fault.

A fault that a machine can cause (a process ended, no memory, a refused system call) is the
kernel's only if the champion passes the same check in the same moment.
"""

from __future__ import annotations

from lance_autoresearch.bench.bench import Bench
from lance_autoresearch.build.builder import Built
from lance_autoresearch.errors import MachineError
from lance_autoresearch.judge.job import EarlyVerdict, Job
from lance_autoresearch.judge.prepare import prepare
from lance_autoresearch.records import Fault, FaultKind
from lance_autoresearch.rules.policy import DEFAULT

OF_MACHINES = frozenset(
    {FaultKind.SANDBOX, FaultKind.MEMORY, FaultKind.SIGNAL, FaultKind.TIMEOUT, FaultKind.PANIC}
)
"""Faults that missing descriptors, memory, time or system calls can cause in any kernel."""


def check(bench: Bench, candidate: Built, champion: Built) -> tuple[int, EarlyVerdict | None]:
    """The number of compared calls, and the verdict if one was at fault.

    Raises:
        MachineError: the champion fails here too.
    """
    bench.begin_trial()
    calls = 0
    with bench.phases("check"):
        for tier in bench.target.tiers:
            result = bench.check_library(candidate.so, tier)
            calls += result.calls
            if result.fault is not None:
                return calls, blame_kernel_or_machine(bench, champion, result.fault)
    return calls, None


def blame_kernel_or_machine(bench: Bench, champion: Built, fault: Fault) -> EarlyVerdict:
    """The verdict on a fault, after a control: the champion in the kernel's place.

    Raises:
        MachineError: the champion fails in the same way.
    """
    if fault.kind in OF_MACHINES:
        bench.conductor.ensure_running()
        control = bench.check_library(champion.so, fault.tier).fault
        if control is not None and control.kind in OF_MACHINES:
            raise MachineError(
                f"the champion fails here in the same way ({control.kind}), so the machine is to "
                "blame",
                where="check",
                next="./lar doctor",
            )
    return EarlyVerdict.make_from_fault(fault)


def check_text(bench: Bench, text: bytes) -> tuple[int, EarlyVerdict | None]:
    """The same for a kernel's text, after admission, build and audit; nothing is timed."""
    job = Job(bench.target.name, text, bench.first_kernel, DEFAULT)
    prepared = prepare(job, bench)
    if prepared.built is None:
        return 0, prepared.refusal
    return check(bench, prepared.built, prepared.champion)
