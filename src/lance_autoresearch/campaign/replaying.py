"""Replays a recorded trial. The three answers are separate, since they promise different things:

    gate     the decision rule on the recorded pairs: identical to the last bit on any machine
    kernel   admission, build and equality with Lance: identical with the same toolchain and tier
    gain     measured again, here and now: reproduced if the intervals meet; on another CPU kind
             than the record's it may differ, and a difference is no fault of the record
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lance_autoresearch.build import builder
from lance_autoresearch.campaign.coordinator import Coordinator, Story, make_record
from lance_autoresearch.errors import LedgerError, UsageError
from lance_autoresearch.host.cpu_kinds import read_stored_kind
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.ledger.export import load_records
from lance_autoresearch.ledger.pairs_json import decode_trial
from lance_autoresearch.records import Results, TrialPairs, TrialRecord, Verdict
from lance_autoresearch.rules.rejudge import rejudge

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RecordedTrial:
    """A trial with the bytes it was about."""

    number: int
    record: TrialRecord
    kernel: bytes
    champion: bytes
    pairs: bytes | None


@dataclass(frozen=True, slots=True)
class ReplayPart:
    """One of the three answers."""

    what: str
    ok: bool
    detail: str


def load_from_ledger(root: Path, number: int) -> RecordedTrial:
    """A trial of this checkout. Raises UsageError or LedgerError if it or a blob is gone."""
    with Ledger.open(root) as ledger:
        record = ledger.get_trial(number).record
        pairs = ledger.get_blob(record.pairs_blob) if record.pairs_blob else None
        kernel = ledger.get_blob(record.kernel)
        first = builder.compose_first_kernel(root, record.target)
        champion = _pick_champion(record, ledger.find_blob(record.champion), first)
    return RecordedTrial(number, record, kernel, champion, pairs)


def _pick_champion(record: TrialRecord, kept: bytes | None, first: bytes) -> bytes:
    """The kernel that a trial was compared with. Raises LedgerError if its text is gone."""
    text = first if kept is None else kept
    if hash_bytes(text) != record.champion:
        raise LedgerError(
            f"the champion of that trial, {record.champion[:12]}, is not kept any more; lar gc "
            "may have dropped it", next="lar log",
        )  # fmt: skip
    return text


def load_from_records(root: Path, directory: Path, number: int) -> RecordedTrial:
    """A trial of an exported campaign. Raises UsageError for an unknown number."""
    target = load_records(directory).campaign.target
    first = builder.compose_first_kernel(root, target)
    exported = load_records(directory, first)
    rows = {row.id: row.record for row in exported.trials}
    if number not in rows:
        raise UsageError(f"no trial {number} in {directory}", allowed=map(str, rows))
    record = rows[number]
    pairs = exported.pairs.get(record.pairs_blob) if record.pairs_blob else None
    if record.kernel not in exported.kernels:
        raise LedgerError(f"the kernel of trial {number} was dropped before the export",
                          where=str(directory), next="lar log")
    champion = _pick_champion(record, exported.kernels.get(record.champion), first)
    return RecordedTrial(number, record, exported.kernels[record.kernel], champion, pairs)


class VerifiedRecord(NamedTuple):
    """The contents of an exported campaign."""

    campaign: str
    files: int
    trials: int
    decided: int
    """Trials whose verdict was computed again from their raw pairs."""


def verify_record(root: Path, directory: Path) -> VerifiedRecord:
    """Check an exported campaign: files, rows and verdicts.

    Raises:
        LedgerError: a file is missing or damaged, a row does not fit the chain, or a verdict does
            not follow from its pairs; the error names it.
    """
    target = load_records(directory).campaign.target
    first = builder.compose_first_kernel(root, target)
    exported = load_records(directory, first)
    decided = 0
    for row in exported.trials:
        pairs = exported.pairs.get(row.record.pairs_blob or "")
        if pairs is None:
            continue
        part = decide_again(RecordedTrial(row.id, row.record, b"", b"", pairs))
        if not part.ok:
            raise LedgerError(
                f"trial {row.id}: its numbers do not follow from its recorded pairs",
                where=str(directory),
            )
        decided += 1
    files = len(exported.kernels) + len(exported.pairs) + 3
    return VerifiedRecord(exported.campaign.name, files, len(exported.trials), decided)


def replay_trial(root: Path, recorded: RecordedTrial, show: Show) -> Iterator[ReplayPart]:
    """The three answers, one after the other."""
    if recorded.pairs is not None:
        yield decide_again(recorded)
    target = recorded.record.target
    story = Story(kind="replay")
    phases = Phases(show)
    with Coordinator(root, target, champion=recorded.champion, phases=phases) as coordinator:
        judged = coordinator.judge(recorded.kernel, story)
        now = make_record(judged, story, coordinator.target)
    yield from compare_measurements(recorded.record, now)


def decide_again(recorded: RecordedTrial) -> ReplayPart:
    """The gate, the confirmation and the defences on the recorded pairs."""
    assert recorded.pairs is not None
    document = decode_trial(recorded.pairs)
    again = _drop_incidentals(rejudge(document.pairs, document.policy))
    same = again == _drop_incidentals(recorded.record.results)
    word = "identical" if same else "different"
    return ReplayPart("gate", same, f"{word} on {count_pairs(document.pairs)} pairs")


def count_pairs(pairs: TrialPairs) -> int:
    """Pairs of all stages."""
    stages = (pairs.screening, pairs.confirmation, pairs.long_blocks, pairs.distinct_inputs,
              pairs.opponent, *pairs.lower_tiers.values())  # fmt: skip
    drawn = () if pairs.totals is None else pairs.totals.pairs
    return sum(len(stage.pairs) for stage in stages if stage is not None) + len(drawn)


def _drop_incidentals(results: Results) -> list[Any]:
    """Every number that decided; reasons as kinds, since old rows hold only their sentences."""
    gate, confirmed = results.screening, results.confirmation
    found: list[Any] = []
    if gate is not None:
        found += [gate.outcome, gate.claim, gate.e, gate.threshold, gate.components, gate.combos,
                  gate.pairs, gate.void]
    if confirmed is not None:
        found += [confirmed.verdict, confirmed.claim, confirmed.components, confirmed.combos,
                  confirmed.long_blocks, confirmed.pairs, confirmed.void]
    return [*found, results.distinct_inputs, results.opponent, results.totals,
            results.lower_tiers]


def compare_measurements(was: TrialRecord, now: TrialRecord) -> Iterator[ReplayPart]:
    """Verdict on the kernel, and the gain."""
    faulty = (Verdict.INCORRECT, Verdict.REJECTED)
    same = (was.verdict in faulty) == (now.verdict in faulty)
    same &= was.verdict not in faulty or was.verdict is now.verdict
    reason = now.reason.splitlines()[0] if now.reason else "no reason given"
    yield ReplayPart("kernel", same, f"was {was.verdict}, is {now.verdict}: {reason}")
    if was.low is None or was.high is None or now.low is None or now.high is None:
        yield ReplayPart("gain", True, "not measured then or now")
        return
    meets = was.low <= now.high and now.low <= was.high
    then, here = read_stored_kind(was.machine), read_stored_kind(now.machine)
    elsewhere = f"; another CPU kind: was {then}, is {here}" if then != here else ""
    yield ReplayPart(
        "gain", meets or bool(elsewhere),
        f"{'reproduced' if meets else 'not reproduced'}: was {was.gain:+.2f}% "
        f"[{was.low:+.2f} {was.high:+.2f}], is {now.gain:+.2f}% [{now.low:+.2f} {now.high:+.2f}]"
        f"{elsewhere}",
    )
