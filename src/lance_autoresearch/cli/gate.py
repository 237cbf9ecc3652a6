"""`lar gate`: the decision rule on recorded pairs, and nothing else."""

from __future__ import annotations

import json as jsonlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lance_autoresearch.ledger.comparison_json import GateCase
    from lance_autoresearch.records import Outcome


def gate(file: Path, *, all_pairs: bool = False, json: bool = False) -> int:
    """Judge recorded pairs again; the same bits come out on any machine.

    FILE is an export of a trial's raw pairs (screening alone, or with confirmation, long blocks
    and what defences D and S saw), or a recorded case, which may say what should come out.
    Exit code: 0 keep or keep-candidate, 1 revert, 3 rejected by a defence, 4 undecided or
    inconclusive; 64 if the file cannot be read or a recorded case did not end as it says.

    Args:
        file: JSON file.
        all_pairs: judge all pairs at once instead of stopping where the gate first decided.
        json: print one JSON object instead of the block.
    """
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger.comparison_json import recorded_from_json

    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read it: {error.strerror}", where=str(file)) from error
    return _trial(recorded_from_json(text), all_pairs, json)


def _trial(parts: tuple[GateCase, ...], all_pairs: bool, json: bool) -> int:
    from lance_autoresearch.records import Verdict
    from lance_autoresearch.rules.confirmation import confirm
    from lance_autoresearch.rules.gate import gate as rule
    from lance_autoresearch.rules.gate import replay
    from lance_autoresearch.text.verdict_text import (
        Facts,
        confirm_block,
        confirm_numbers,
        defence_block,
        defence_numbers,
        gate_block,
        gate_numbers,
        slices,
    )

    case, *rest = parts
    whole = replace(case.policy, max_pairs=case.policy.max_pairs + case.before)
    if all_pairs:
        result = rule(case.comparison, whole)
    else:
        result = replay(case.comparison, case.policy, case.before)
    facts = Facts(slices=slices(case.comparison))
    fields: dict[str, Any] = {"gate": gate_numbers(result, facts, case.policy)}
    code = _exit_code(result.outcome)
    if rest:
        licence = rest[1].comparison if len(rest) > 1 else None
        confirmed = confirm(rest[0].comparison, licence, result.claim, case.policy)
        fields["confirm"] = confirm_numbers(confirmed, case.policy)
        code = confirmed.verdict.exit_code
        defences = defence_numbers(confirmed, [p.comparison for p in rest[2:]], case.policy)
        fields |= defences
        if any(found["rejected"] for found in defences.values()):
            code = Verdict.REJECTED.exit_code
    if json:
        print(jsonlib.dumps(fields))
    else:
        print(gate_block(fields["gate"]))
        if rest:
            print(f"\n{confirm_block(fields['confirm'])}")
            print(defence_block(fields), end="\n" if len(rest) > 2 else "")
    _hold(case, fields["gate"])
    return code


def _exit_code(outcome: Outcome) -> int:
    from lance_autoresearch.records import Outcome, Verdict

    verdict = {Outcome.KEEP_CANDIDATE: Verdict.KEEP, Outcome.REVERT: Verdict.REVERT}
    return verdict.get(outcome, Verdict.INCONCLUSIVE).exit_code


def _hold(case: GateCase, fields: dict[str, Any]) -> None:
    """Raise UsageError where a recorded case did not end as it says."""
    from lance_autoresearch.errors import UsageError

    wrong = [
        f"{k} is {fields.get(k)!r}, not {v!r}" for k, v in case.expect.items() if fields.get(k) != v
    ]
    if wrong:
        raise UsageError("; ".join(wrong), where="recorded case")
