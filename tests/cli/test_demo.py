"""`lar demo`: what it says about a campaign, whatever the machine could prove."""

from __future__ import annotations

import pytest

from lance_autoresearch.agents import Proposal
from lance_autoresearch.agents.replay import Idea
from lance_autoresearch.cli.demo_output import introduce, summarise
from lance_autoresearch.host.machine import describe_machine
from lance_autoresearch.ledger import Row, hash_bytes
from lance_autoresearch.records import TrialRecord, Verdict

KEEP, REVERT = Verdict.KEEP, Verdict.REVERT
EXPECTED = (KEEP, KEEP, REVERT, Verdict.INCORRECT, Verdict.REJECTED)


def text(n: int) -> bytes:
    return b"// idea %d" % n


def rows(*verdicts: Verdict, agent: str = "replay", first: int = 0) -> list[Row]:
    records = [
        TrialRecord("pq-l2", verdict, "why", hash_bytes(text(first + n)), "c", agent=agent)
        for n, verdict in enumerate(verdicts)
    ]
    return [Row(n, n, "", record, "", None, "", "") for n, record in enumerate(records, 1)]


IDEAS = [Idea(Proposal(text(n), ""), expect=expect) for n, expect in enumerate(EXPECTED)]


def test_the_whole_story_has_no_word_of_noise() -> None:
    lines = summarise([*rows(*EXPECTED), *rows(REVERT, KEEP, agent="rewrite", first=9)], IDEAS)
    assert [line.split()[:2] for line in lines] == [
        ["kept", "2"], ["reverted", "1:"], ["wrong", "1:"], ["refused", "1:"], ["rewrite", "2"],
    ]  # fmt: skip
    assert lines[-1].endswith("1 kept")


@pytest.mark.parametrize("found", [REVERT, Verdict.INCONCLUSIVE])
def test_a_gain_that_noise_hid_is_said_in_one_sentence(found: Verdict) -> None:
    *_, last = summarise(rows(KEEP, found, *EXPECTED[2:]), IDEAS)
    assert last.startswith("This machine is too noisy now to prove 1 of 2 gains")


def test_a_gain_for_which_no_time_was_left_is_said_too() -> None:
    *_, last = summarise(rows(KEEP), IDEAS)
    assert last.startswith("This machine is too noisy now to prove 1 of 2 gains")


def test_a_wrong_kernel_that_was_expected_to_gain_is_no_noise() -> None:
    lines = summarise(rows(KEEP, Verdict.INCORRECT, *EXPECTED[2:]), IDEAS)
    assert not any("noisy" in line for line in lines)


def test_the_beginning_names_the_cpu_kind() -> None:
    assert describe_machine()["cpu_kind"] in introduce("c")[0]
