"""Mutation testing: the copy in which decorated functions are changed too is the same program."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import mutation  # noqa: E402

RULES = ROOT / mutation.RULES


def test_undecorated_rules_give_the_same_answers() -> None:
    text = mutation.undecorated((RULES / "estimator.py").read_text())
    assert "@property" not in text and "n = property(n)" in text
    there: dict[str, object] = {"__name__": "estimator"}
    sys.modules["estimator"] = sys  # dataclass looks its module up
    try:
        exec(compile(text, "estimator", "exec"), there)
    finally:
        del sys.modules["estimator"]
    sample = there["Sample"]("x", (1.0, 2.0, 4.0), 0.1)  # type: ignore[operator]
    assert (sample.n, round(sample.error, 6)) == (3, round(sample.sd / 3**0.5, 6))
    assert "lru_cache(" not in mutation.undecorated((RULES / "stats.py").read_text())


def test_every_explained_survivor_is_of_a_file_that_is_tested_and_has_a_reason() -> None:
    known = mutation.reasons()
    rows = tomllib.loads(mutation.REASONS.read_text())["survivor"]
    assert len(known) == len(rows), "no survivor stands there twice"
    for mutant, why in known.items():
        assert mutant.file in mutation.FILES and len(why) > 20
        body = " ".join((RULES / f"{mutant.file}.py").read_text().split())
        assert " ".join(mutant.was.split())[:40] in body, "its line is gone: run tools/mutation.py"


def test_only_files_of_the_rules_can_be_named(capsys: object) -> None:
    assert {f"{name}.py" for name in mutation.FILES} <= {p.name for p in RULES.glob("*.py")}
    assert all((ROOT / "tests" / name).exists() for name in (*mutation.TESTS, *mutation.PARTS))
