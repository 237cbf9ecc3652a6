"""Why a kernel was refused, in words, if no row of the ledger is written."""

from __future__ import annotations

from lance_autoresearch.judge.job import EarlyVerdict
from lance_autoresearch.targets.spec import Target
from lance_autoresearch.text.fault_text import describe_fault
from lance_autoresearch.text.reasons import describe_reason


def describe_early_verdict(end: EarlyVerdict, target: Target) -> str:
    """Why a kernel was refused, in words."""
    if end.fault is not None:
        return describe_fault(target, end.fault)
    return describe_reason(end.reason)
