"""The judge's input and output, as plain data.

    judged = judge(Job("hamming", kernel, champion, policy), bench)

A `Job` holds all that a verdict may depend on beside the machine; a `JudgedTrial` holds all the
results. The judge writes nothing: the caller appends to the ledger and moves the champion.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from lance_autoresearch.build.builder import Built
from lance_autoresearch.build.link import SHUFFLED
from lance_autoresearch.errors import MachineError
from lance_autoresearch.records import (
    CodeFacts,
    EpochFacts,
    Fault,
    FaultKind,
    NoiseSession,
    PairTimes,
    Reason,
    ReasonKind,
    Results,
    TrialPairs,
    Verdict,
)
from lance_autoresearch.rules.policy import Policy

FORBIDDEN = frozenset({FaultKind.SANDBOX, FaultKind.MEMORY, FaultKind.ARM})
"""Faults that end in `rejected`: the kernel accessed what no kernel may access. All other faults
(wrong outputs, panics, crashes, endless loops) are `incorrect`."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kernel to be judged against one champion."""

    target: str
    kernel: bytes
    """Text of kernels.rs, as read once."""
    champion: bytes
    """Text of the kernel to beat."""
    policy: Policy
    earlier: tuple[PairTimes, ...] = ()
    """Valid pairs of an undecided earlier trial of the same kernel, continued here."""
    noise: NoiseSession | None = None
    """The noise session of this machine, if it is known; None: the judge measures one."""
    measure_same_program: bool = False
    """Measure even if both kernels are one program, as null trials do."""
    layout: int | None = None
    """Judge the candidate linked in this layout (`builder.relink_library`) instead of its own..."""
    order: str = SHUFFLED
    """...its objects in this order (`link.ORDERS`)."""


@dataclass(frozen=True, slots=True)
class EarlyVerdict:
    """How a trial ended: its verdict and why."""

    verdict: Verdict
    reason: Reason
    fault: Fault | None = None

    @classmethod
    def make_from_fault(cls, fault: Fault) -> EarlyVerdict:
        """A fault that the conductor detected, as a verdict."""
        verdict = Verdict.REJECTED if fault.kind in FORBIDDEN else Verdict.INCORRECT
        return cls(verdict, Reason(ReasonKind.FAULT), fault)


    @classmethod
    def make_from_machine(cls, failure: MachineError) -> EarlyVerdict:
        """A failure of the machine: no verdict on the kernel, and never remembered."""
        return cls(Verdict.INCONCLUSIVE, Reason(ReasonKind.MACHINE, detail=failure.what))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kernel that was admitted, built and audited; or why it was refused."""

    built: Built | None
    champion: Built
    code: CodeFacts | None = None
    refusal: EarlyVerdict | None = None
    memory_key: str = ""
    """The ledger remembers the verdict under this key: on the linked code, or of a refusal on the
    text; empty: it is not remembered."""
    asks_features: bool = False
    """One of the two kernels reads the CPU features: lower CPU tiers run other code."""


@dataclass(frozen=True, slots=True)
class JudgedTrial:
    """A finished trial."""

    verdict: Verdict
    reason: Reason
    results: Results
    pairs: TrialPairs | None = None
    """Raw pairs of all stages; None if nothing was measured."""
    policy: Policy = field(default_factory=Policy)
    """The policy in force: the job's, with as many pairs as the noise asked for."""
    kernel_digest: str = ""
    """sha256 of the kernel's text."""
    champion_digest: str = ""
    sessions: tuple[NoiseSession, ...] = ()
    """Noise sessions that this trial measured."""
    epochs: EpochFacts | None = None
    burnt_seeds: tuple[int, ...] = ()
    memory_key: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str] = field(default_factory=dict)
    toolchain: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)

    @property
    def fault(self) -> Fault | None:
        """What the kernel did wrong, if that ended the trial."""
        return self.results.fault


def hash_text(text: bytes) -> str:
    """sha256 of a kernel's text."""
    return hashlib.sha256(text).hexdigest()


def make_memory_key(
    code: str, champion: str, rules: str, policy: Policy, toolchain: str, machine: str
) -> str:
    """sha256 over all that a verdict depends on.

    Args:
        code: digest of the linked code and constants (not of the text: a comment is no change).
        champion: the same digest of the champion's build.
        rules: digest of everything immutable (ruleset, instrument, target, upstream, flags).
        machine: the kind of machine: CPU kind, tier and sandbox in use.
    """
    parts = {
        "code": code,
        "champion": champion,
        "contract": rules,
        "policy": dataclasses.asdict(policy),
        "toolchain": toolchain,
        "machine": machine,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_refusal_key(text: bytes, rules: str, toolchain: str, sandbox: str) -> str:
    """sha256 over all that a refusal by admission, compiler or audit depends on.

    Args:
        rules: digest of everything immutable; it covers the target and the flags.
        sandbox: that of the compiler.
    """
    parts = {"refused": hash_text(text), "contract": rules, "toolchain": toolchain, "box": sandbox}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
