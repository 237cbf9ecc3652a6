"""`lar rejudge`: apply the decision rule to recorded pairs; nothing is measured."""

from __future__ import annotations

import json as jsonlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lance_autoresearch.ledger.pairs_json import GateCase, TrialDocument
    from lance_autoresearch.records import Results


def rejudge(file: Path, *, all_pairs: bool = False, json: bool = False) -> int:
    """Apply the decision rule to recorded pairs; the result is bit-identical on every machine.

    FILE is an export of a trial's raw pairs (screening alone, or with confirmation, long blocks
    and the pairs of defences D and S), or a recorded case, which may state the expected result.
    Exit code: 0 keep or keep-candidate, 1 revert, 3 rejected by a defence, 4 undecided or
    inconclusive; 64 if the file cannot be read or a recorded case differs from its expectation.

    Args:
        file: JSON file.
        all_pairs: use all pairs at once instead of stopping at the gate's first decision.
        json: print one JSON object instead of the block.
    """
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger.pairs_json import decode_recorded

    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read it: {error.strerror}", where=str(file)) from error
    return _judge_document(decode_recorded(text), all_pairs, json)


def _judge_document(document: TrialDocument | GateCase, all_pairs: bool, json: bool) -> int:
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.ledger.pairs_json import GateCase
    from lance_autoresearch.ledger.results_json import encode_results
    from lance_autoresearch.records import ScreeningFacts, TrialPairs
    from lance_autoresearch.rules.gate import run_gate as decide
    from lance_autoresearch.rules.rejudge import rejudge
    from lance_autoresearch.text.verdict_text import count_slices, print_results

    case = document if isinstance(document, GateCase) else None
    policy = document.policy
    pairs = TrialPairs(document.comparison) if isinstance(document, GateCase) else document.pairs
    try:
        results = rejudge(pairs, policy)
        if all_pairs:
            whole = replace(policy, max_pairs=policy.max_pairs + pairs.before)
            results = replace(results, screening=decide(pairs.screening, whole))
    except (ArithmeticError, ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"the rule cannot be applied to these numbers ({error})", where="the document",
            next="compare it with an export: lar log --export CAMPAIGN",
        ) from error  # fmt: skip
    facts = ScreeningFacts(slices=count_slices(pairs.screening))
    results = replace(results, screening_facts=facts)
    if json:
        print(jsonlib.dumps(encode_results(results)))
    else:
        print("\n".join(print_results(results)).strip("\n"))
    if case is not None:
        _check_expectation(case, results)
    return _find_exit_code(results)


def _find_exit_code(results: Results) -> int:
    from lance_autoresearch.records import Outcome, Verdict

    defences = (results.distinct_inputs, results.opponent, results.totals)
    if any(found is not None and found.rejected for found in defences):
        return Verdict.REJECTED.exit_code
    if results.confirmation is not None:
        return results.confirmation.verdict.exit_code
    assert results.screening is not None
    verdict = {Outcome.KEEP_CANDIDATE: Verdict.KEEP, Outcome.REVERT: Verdict.REVERT}
    return verdict.get(results.screening.outcome, Verdict.INCONCLUSIVE).exit_code


def _check_expectation(case: GateCase, results: Results) -> None:
    """Raise UsageError if a recorded case differs from the result that it states."""
    from lance_autoresearch.errors import UsageError
    from lance_autoresearch.text.reasons import describe_reason

    gate = results.screening
    assert gate is not None
    seen = {
        "outcome": str(gate.outcome), "reason": describe_reason(gate.reason),
        "claim": gate.claim, "pairs": gate.pairs, "void": gate.void, "e": gate.e,
        "gain": gate.claimed.gain,
    }  # fmt: skip
    wrong = [
        f"{k} is {seen.get(k)!r}, not {v!r}" for k, v in case.expect.items() if seen.get(k) != v
    ]
    if wrong:
        raise UsageError("; ".join(wrong), where="recorded case")
