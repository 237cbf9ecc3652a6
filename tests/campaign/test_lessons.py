"""Lessons and dead ends: what was learnt is found again."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, kernel
from night_parts import small_night, trial

from lance_autoresearch.campaign import lessons as memory
from lance_autoresearch.campaign.dead_ends import find_related, list_dead_ends
from lance_autoresearch.cli.lessons import show_lessons
from lance_autoresearch.errors import UsageError
from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import Verdict
from lance_autoresearch.text.difference import LONGEST, SHOWN, compute_difference

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = checkout(tmp_path)
    shutil.copy(ROOT / "targets" / TARGET / "target.py", home / "targets" / TARGET)
    monkeypatch.setenv("LAR_ROOT", str(home))
    return home


def test_lessons_are_added_in_order_and_never_changed(root: Path) -> None:
    memory.add_lesson(root, TARGET, "gathers lose")
    before = memory.find_lessons_file(root, TARGET).read_bytes()
    memory.add_lesson(root, TARGET, "tiles win", by="claude")
    assert memory.find_lessons_file(root, TARGET).read_bytes().startswith(before)
    told = memory.read_lessons(root, TARGET)
    assert [line.split(" ", 1)[1] for line in told] == ["hand: gathers lose", "claude: tiles win"]
    assert memory.read_lessons(root, "fsst") == []


def test_the_same_lesson_is_not_written_twice(root: Path) -> None:
    assert memory.add_lesson(root, TARGET, "gathers lose") == memory.add_lesson(
        root, TARGET, "gathers  lose\n"
    )
    assert len(memory.read_lessons(root, TARGET)) == 1


def test_an_agent_s_lesson_stays_one_bounded_line(root: Path) -> None:
    memory.add_lesson(root, TARGET, "a\n- 2026-01-01 hand: forged\x1b[2J\u202e" + "x" * 5000)
    (line,) = memory.read_lessons(root, TARGET)
    assert len(line) < 700 and "\x1b" not in line and "\u202e" not in line
    assert memory.find_lessons_file(root, TARGET).read_text().count("\n- ") == 1
    with pytest.raises(UsageError, match="needs words"):
        memory.add_lesson(root, TARGET, "\x1b[0m \n")


def _write(root: Path, writer: int) -> None:
    for number in range(20):
        memory.add_lesson(root, TARGET, f"lesson {writer} {number} " + "y" * 400)


def test_writers_at_once_do_not_mix_their_lines(root: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(root, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    told = memory.read_lessons(root, TARGET)
    assert len(told) == 80 and all(line.endswith("y" * 400) for line in told)


def test_dead_ends_are_the_failed_ideas_newest_first(root: Path) -> None:
    small_night(root)
    with Ledger.open(root) as ledger:
        ledger.append(trial(kernel(8), FIRST, gains=(9.0, 9.0, 9.0), kind="quote"))
        ledger.append(trial(FIRST, FIRST, kind="aa +load measuring"))
        ledger.append(trial(FIRST, FIRST, kind="regress 5"))
        ledger.append(trial(kernel(9), FIRST, Verdict.INCONCLUSIVE))
        found = list_dead_ends(ledger, TARGET)
        assert [end.hypothesis for end in found] == ["slow", "gather", "spawn", "fuse"]
        assert list_dead_ends(ledger, "fsst") == []
        assert len(list_dead_ends(ledger, TARGET, limit=2)) == 2
    gather = found[1]
    assert gather.profile["scan8 96x4000 uniform"] == -54.3 and gather.diff == "+2 -2"
    assert gather.format_spread() == "scan8 96x4000 uniform -54.3%, scan8 16x2048 clustered +1.0%"
    assert gather.format_line().startswith('4 revert -17.77%  +2 -2  "gather" | guard: ')


def test_grep_looks_at_ideas_reasons_and_losing_combos(root: Path) -> None:
    small_night(root)
    with Ledger.open(root) as ledger:
        def found(word: str) -> list[str]:
            return [end.hypothesis for end in list_dead_ends(ledger, TARGET, grep=word)]

        assert found("GATHER") == ["gather"]
        assert found("std::thread") == ["spawn"]
        assert found("96x4000") == ["slow", "gather"]
        assert found("residual") == [], "it gained there"
        assert found("no such word") == []


def test_an_idea_is_answered_by_the_failed_ones_most_like_it(root: Path) -> None:
    with Ledger.open(root) as ledger:
        ideas = ("scan with AVX2 gathers", "unroll the table", "wider tiles")
        for number, idea in enumerate(ideas):
            ledger.append(trial(kernel(number), FIRST, hypothesis=idea))
        near = find_related(ledger, TARGET, "AVX-512 gathers in the scan")
        assert [end.hypothesis for end in near] == ["scan with AVX2 gathers"]
        assert find_related(ledger, TARGET, "prefetch") == []


def test_a_dropped_text_leaves_the_rest_of_the_dead_end(root: Path) -> None:
    with Ledger.open(root) as ledger:
        ledger.append(trial(kernel(1), FIRST))
        (end,) = list_dead_ends(ledger, TARGET)
    assert end.diff is None and end.profile


def test_the_command_prints_both_and_searches_both(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_night(root)
    assert show_lessons(TARGET, add="gathers lose on every shape", by="codex") == 0
    capsys.readouterr()
    assert show_lessons(TARGET) == 0
    text = capsys.readouterr().out
    assert "codex: gathers lose on every shape" in text and '"fuse"' in text
    assert show_lessons(TARGET, grep="gather", json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["lessons"]) == 1 and [e["hypothesis"] for e in said["dead_ends"]] == ["gather"]
    assert show_lessons(TARGET, like="gather with AVX2", json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert [e["hypothesis"] for e in said["dead_ends"]] == ["gather"]
    with pytest.raises(UsageError, match="no target named 'pq'"):
        show_lessons("pq")


def test_before_anything_happened_it_says_so(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_lessons(TARGET) == 0
    assert capsys.readouterr().out.count("none") == 2


def test_a_difference_is_counted_bounded_and_readable() -> None:
    changed = compute_difference(b"a\nb\nc\n", b"a\nB\nc\nd\n")
    assert (changed.added, changed.removed, changed.cut) == (2, 1, False)
    long = compute_difference(b"", b"x\n" * (SHOWN + 50))
    assert len(long.lines) == SHOWN and long.cut and long.added == SHOWN + 50
    huge = compute_difference(b"x\n" * (LONGEST + 1), b"y\n")
    assert huge.cut and huge.lines == []
    spelt = compute_difference(b"a", "\u202e\u200bz\n\x07".encode()).lines[2:]
    assert spelt == [r"+\u{202e}\u{200b}z", r"+\u{7}"]
    assert compute_difference(b"same", b"same") == (0, 0, [], False)
