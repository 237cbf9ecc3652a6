"""The end of a trial before its last stage: a verdict with its reason.

    raise Ended(Verdict.REVERT, "slower")

It is an exception so that `trial.run_trial` reads as the six calls it is.
"""

from __future__ import annotations

from lance_autoresearch.records import Fault, Verdict

BOX_FAULTS = frozenset({"sandbox", "memory", "arm"})
"""Faults that end in `rejected`: the kernel reached for what no kernel may have. All other
faults (wrong outputs, panics, crashes, endless loops) are `incorrect`."""


class Ended(Exception):
    """The first verdict ends the trial."""

    def __init__(self, verdict: Verdict, reason: str, fault: Fault | None = None) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason
        self.fault = fault

    @classmethod
    def by_fault(cls, reason: str, fault: Fault) -> Ended:
        """What the conductor caught, as a verdict."""
        verdict = Verdict.REJECTED if fault.kind in BOX_FAULTS else Verdict.INCORRECT
        return cls(verdict, reason, fault)
