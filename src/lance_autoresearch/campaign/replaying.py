"""A recorded trial again. Three things are reported apart, since they promise different things:

    gate     the decision rule on the recorded pairs: identical to the last bit on any machine
    kernel   admission, build and equality with Lance: identical with the same toolchain and tier
    gain     measured again, here and now: reproduced if the intervals meet; on another CPU kind
             than the record's it may differ, and a difference is no fault of the record
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lance_autoresearch.bench.rig import Rig
from lance_autoresearch.build import builder
from lance_autoresearch.errors import UsageError
from lance_autoresearch.host.cpu_kinds import stored_kind
from lance_autoresearch.host.phases import Phases
from lance_autoresearch.judge.trial import Story, run_trial
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.ledger.comparison_json import GateCase, trial_from_json
from lance_autoresearch.ledger.export import load_records
from lance_autoresearch.records import TrialRecord, Verdict
from lance_autoresearch.rules.confirmation import ConfirmResult, confirm
from lance_autoresearch.rules.gate import replay as gate_again
from lance_autoresearch.text.verdict_text import confirm_numbers, defence_numbers, gate_numbers

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A trial with the bytes it was about."""

    number: int
    record: TrialRecord
    kernel: bytes
    champion: bytes
    pairs: bytes | None


@dataclass(frozen=True, slots=True)
class Part:
    """One of the three answers."""

    what: str
    ok: bool
    detail: str


def from_ledger(root: Path, number: int) -> Recorded:
    """A trial of this checkout. Raises UsageError or LedgerError if it or a blob is gone."""
    with Ledger.open(root) as ledger:
        record = ledger.trial(number).record
        pairs = ledger.get_blob(record.pairs_blob) if record.pairs_blob else None
        kernel = ledger.get_blob(record.kernel)
        first = builder.first_kernel(root, record.target)
        champion = ledger.find_blob(record.champion) or first
    return Recorded(number, record, kernel, champion, pairs)


def from_records(root: Path, directory: Path, number: int) -> Recorded:
    """A trial of an exported campaign. Raises UsageError for an unknown number."""
    target = load_records(directory).campaign.target
    first = builder.first_kernel(root, target)
    exported = load_records(directory, first)
    rows = {row.id: row.record for row in exported.trials}
    if number not in rows:
        raise UsageError(f"no trial {number} in {directory}", allowed=map(str, rows))
    record = rows[number]
    pairs = exported.pairs.get(record.pairs_blob) if record.pairs_blob else None
    return Recorded(
        number, record, exported.kernels[record.kernel],
        exported.kernels.get(record.champion, first), pairs,
    )


def replay(root: Path, recorded: Recorded, show: Show) -> Iterator[Part]:
    """The three answers, one after the other."""
    if recorded.pairs is not None:
        yield decided_again(recorded)
    target = recorded.record.target
    with Rig(root, target, champion=recorded.champion, phases=Phases(show)) as rig:
        judged = run_trial(rig, recorded.kernel, Story(kind="replay"))
    yield from measured_again(recorded.record, judged.record)


def decided_again(recorded: Recorded) -> Part:
    """The gate and the confirmation on the recorded pairs."""
    assert recorded.pairs is not None
    parts = trial_from_json(recorded.pairs)
    first = parts[0]
    result = gate_again(first.comparison, first.policy, first.before)
    fields = [gate_numbers(result, policy=first.policy)]
    numbers = recorded.record.numbers
    wanted = [numbers["gate"]]
    if len(parts) >= 3:
        confirmed = _confirmed(parts, fields[0]["claim"])
        fields.append(confirm_numbers(confirmed, first.policy))
        wanted.append(numbers["confirm"])
        seen = [part.comparison for part in parts[3:]]
        for name, found in defence_numbers(confirmed, seen, first.policy).items():
            fields.append(found)
            wanted.append(numbers[name])
    same = _decisive(fields) == _decisive(wanted)
    word = "identical" if same else "different"
    return Part("gate", same, f"{word} on {sum(len(p.comparison.pairs) for p in parts)} pairs")


def _confirmed(parts: Sequence[GateCase], claim: str) -> ConfirmResult:
    return confirm(parts[1].comparison, parts[2].comparison, claim, parts[1].policy)


def _decisive(blocks: list[dict[str, Any]]) -> Any:
    """Without what is known beside the pairs (seconds, core, the session's A/A)."""
    return json.loads(json.dumps([{**block, "facts": None} for block in blocks]))


def measured_again(was: TrialRecord, now: TrialRecord) -> Iterator[Part]:
    """Verdict on the kernel, and the gain."""
    faulty = (Verdict.INCORRECT, Verdict.REJECTED)
    same = (was.verdict in faulty) == (now.verdict in faulty)
    same &= was.verdict not in faulty or was.verdict is now.verdict
    reason = now.reason.splitlines()[0] if now.reason else "no reason given"
    yield Part("kernel", same, f"was {was.verdict}, is {now.verdict}: {reason}")
    if was.low is None or was.high is None or now.low is None or now.high is None:
        yield Part("gain", True, "not measured then or now")
        return
    meets = was.low <= now.high and now.low <= was.high
    then, here = stored_kind(was.machine), stored_kind(now.machine)
    elsewhere = f"; another CPU kind: was {then}, is {here}" if then != here else ""
    yield Part(
        "gain", meets or bool(elsewhere),
        f"{'reproduced' if meets else 'not reproduced'}: was {was.gain:+.2f}% "
        f"[{was.low:+.2f} {was.high:+.2f}], is {now.gain:+.2f}% [{now.low:+.2f} {now.high:+.2f}]"
        f"{elsewhere}",
    )
