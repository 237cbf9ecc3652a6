"""tools/size.py: what counts as a verb, an import and a room, and when the check fails."""

from __future__ import annotations

from pathlib import Path

import pytest
import size

MODULE = """
import os
import lance_autoresearch.errors
from functools import cached_property
from lance_autoresearch.host import git, sandbox
from lance_autoresearch.host.git import Git
from lance_autoresearch.agents import Turn

class Thing:
    def __init__(self): ...
    @property
    def found(self): ...
    @cached_property
    def told(self): ...
    @found.setter
    def found(self, value): ...
    def _read_rows(self):
        def heard():
            from lance_autoresearch.rules import gate
    async def to_json(self): ...

def is_null(): ...
"""
MODULES = frozenset(
    f"lance_autoresearch.{name}"
    for name in ("agents", "errors", "host", "host.git", "host.sandbox", "rules", "rules.gate")
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout that size.py takes for its own, within all limits."""
    package = tmp_path / size.SOURCE
    for room in ("host", "rules", "text", "agents", "bench", "judge"):
        (package / room).mkdir(parents=True)
        (package / room / "part.py").write_text("def read_all():\n    return 1\n")
    monkeypatch.setattr(size, "ROOT", tmp_path)
    monkeypatch.setattr(size, "REASONS", {})
    monkeypatch.setattr(
        size,
        "list_sources",
        lambda: [p.relative_to(tmp_path) for p in sorted(package.rglob("*.py"))],
    )
    size.read_text.cache_clear()
    return package


def test_properties_and_dunder_methods_are_no_names() -> None:
    assert sorted(size.list_names(MODULE)) == ["_read_rows", "heard", "is_null", "to_json"]


def test_a_verb_is_the_first_word_behind_underscores() -> None:
    verbs = size.read_verbs()
    with_verb = [n for n in size.list_names(MODULE) if size.has_verb(n, verbs)]
    assert sorted(with_verb) == ["_read_rows", "is_null"]
    assert not size.has_verb("reader", verbs) and not size.has_verb("readings_of", verbs)


def test_the_list_holds_no_participle_and_no_preposition() -> None:
    verbs = size.read_verbs()
    assert verbs.isdisjoint(
        {"found", "told", "judged", "heard", "made", "seen", "to", "from", "as"}
    )
    assert all(verb.isalpha() and verb.islower() for verb in verbs)


def test_each_imported_module_counts_once_also_inside_functions() -> None:
    found = {
        name.removeprefix("lance_autoresearch.") for name in size.list_imports(MODULE, MODULES)
    }
    assert found == {"errors", "host.git", "host.sandbox", "agents", "rules.gate"}


def test_a_small_tree_has_no_problem(tree: Path) -> None:
    assert size.find_problems() == []


def test_a_long_file_needs_a_reason(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in tree.iterdir():
        (room / "part.py").write_text(
            "def read_all():\n    return 1\n" + "x = 1\n" * size.FILE_LIMIT
        )
    size.read_text.cache_clear()
    assert len(size.find_problems()) == 6 and "without a reason" in size.find_problems()[0]
    reasons = {f"{size.SOURCE}/{room.name}/part.py": "one table" for room in tree.iterdir()}
    monkeypatch.setattr(size, "REASONS", reasons)
    assert size.find_problems() == [] and size.render_goals().count(": one table") == 6


def test_a_long_function_needs_a_reason(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in tree.iterdir():
        (room / "part.py").write_text("def read_all():\n" + "    x = 1\n" * size.FUNCTION_LIMIT)
    size.read_text.cache_clear()
    assert len(size.find_problems()) == 6 and "read_all has 61 lines" in size.find_problems()[0]
    reasons = {f"{size.SOURCE}/{room.name}/part.py:read_all": "one case" for room in tree.iterdir()}
    monkeypatch.setattr(size, "REASONS", reasons)
    assert size.find_problems() == []


def test_nouns_for_names_are_noticed(tree: Path) -> None:
    (tree / "host" / "part.py").write_text("def reader(): ...\n" * 20)
    size.read_text.cache_clear()
    assert any("begin with a verb" in line for line in size.find_problems())


def test_many_imports_and_a_large_room_are_noticed(tree: Path) -> None:
    for i in range(size.IMPORT_LIMIT + 1):
        (tree / "host" / f"part{i}.py").write_text("def read_all(): ...\n")
    names = "".join(f"import {size.PACKAGE}.host.part{i}\n" for i in range(size.IMPORT_LIMIT + 1))
    (tree / "text" / "part.py").write_text(names)
    size.read_text.cache_clear()
    problems = "\n".join(size.find_problems())
    assert f"text.part imports {size.IMPORT_LIMIT + 1} modules" in problems
    assert "the room host holds" in problems
