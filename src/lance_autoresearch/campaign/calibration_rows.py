"""The rows of the ledger that calibration counts: its own trials, under today's rules.

    for trial in list_calibration_trials(root, ["hamming"]):
        trial.verdict, trial.gain
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.calibration.rulesets import find_equal_rulesets
from lance_autoresearch.calibration.scores import CalibrationTrial
from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import TrialKind, TrialRecord
from lance_autoresearch.rules.policy import DEFAULT
from lance_autoresearch.targets import catalogue

ONCE = ("setup", "session", "pools", "lock", "waited", "python_cpu", "dose")
"""Phases that do not count in the cost of one more trial on a quiet machine."""


def list_calibration_trials(root: Path, targets: Sequence[str]) -> list[CalibrationTrial]:
    """Every calibration trial of some targets that was judged under today's rules."""
    with Ledger.open(root) as ledger:
        return [
            _make_calibration_trial(record)
            for record in read_calibration_rows(ledger, root, targets)
        ]


def read_calibration_rows(
    ledger: Ledger, root: Path, targets: Sequence[str]
) -> Iterator[TrialRecord]:
    """The rows of those trials, target by target, oldest first."""
    for name in targets:
        today = measure_provenance(root, catalogue.load_target(root, name), DEFAULT)["all"]
        rules = find_equal_rulesets(root, name, today)
        yield from select_rows(ledger, name, None, rules)


def select_rows(
    ledger: Ledger, target: str, label: str | None, rules: frozenset[str]
) -> list[TrialRecord]:
    """Trials of one kind (None: of any) that count under these rules, oldest first."""
    rows = (row.record for row in ledger.list_trials(target=target, kind=label))
    return [record for record in rows if _is_counted(record, rules)]


def _is_counted(record: TrialRecord, rules: frozenset[str]) -> bool:
    """Was this trial a calibration under these rules (`immutable["all"]`)?

    A delay without a measured size comes from a version that did not measure it: of the 1.5 %
    requested, such delays had 1.2 to 2 %.
    """
    whole = TrialKind.parse(record.kind).name != "delay" or bool(record.results.dose)
    return record.agent == "calibrate" and record.immutable.get("all") in rules and whole


def _make_calibration_trial(record: TrialRecord) -> CalibrationTrial:
    gate, reason = record.results.screening, record.results.reason
    spent = sum(seconds for phase, seconds in record.phases.items() if phase not in ONCE)
    return CalibrationTrial(
        record.target,
        record.kind,
        str(record.verdict),
        0 if gate is None else gate.pairs,
        0.0 if gate is None else gate.components[0].gain,
        round(spent, 2),
        record.pairs_blob or "",
        str(reason.kind) if reason is not None else record.reason.partition("\n")[0],
    )


def resolve_targets(root: Path, target: str) -> tuple[str, ...]:
    """One target by name, or every one for `all`."""
    found = tuple(t.name for t in catalogue.load_targets(root))
    if target != "all" and target not in found:
        raise UsageError(f"no target '{target}'", allowed=["all", *found])
    return found if target == "all" else (target,)
