"""The digests beside a verdict cover exactly what can change one.

A byte is changed in every file of a copy of the tree, and each digest is looked at: the ones that
should move do, and no other does.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lance_autoresearch import oracle
from lance_autoresearch.build import provenance
from lance_autoresearch.build.provenance import measure_provenance
from lance_autoresearch.rules.policy import DEFAULT, Policy
from lance_autoresearch.targets.catalogue import load_target

ROOT = Path(__file__).resolve().parents[2]
TARGET = "topk-merge"
PACKAGE = "src/lance_autoresearch/"
DECIDES = (f"{PACKAGE}judge/", f"{PACKAGE}rules/")
MEASURES = (
    f"{PACKAGE}bench/", f"{PACKAGE}build/", "rust/abi/", "rust/conductor/", "rust/shim/",
    "rust/worker/",
)  # fmt: skip
TRUSTED = tuple(f"targets/{TARGET}/{name}" for name in provenance.TRUSTED)


def expected_part(path: str) -> str | None:
    """Which digest a change of this file must move; None: none."""
    code = path.endswith((".py", ".rs"))
    if path.startswith(DECIDES) and code:
        return "ruleset"
    if (path.startswith(MEASURES) and code) or path == "rust/Cargo.lock":
        return "instrument"
    if path in TRUSTED:
        return "target"
    if path.startswith(f"{PACKAGE}fixtures/") and code:
        return "fixtures"
    return None


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of every tracked file."""
    copy = tmp_path_factory.mktemp("tree")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    yield copy


def test_each_digest_covers_exactly_what_can_change_a_verdict(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = load_target(ROOT, TARGET)
    fake = tree / PACKAGE / "build" / "provenance.py"
    monkeypatch.setattr(provenance, "__file__", str(fake))
    extracts = oracle.hash_extracts(ROOT, TARGET)
    monkeypatch.setattr(oracle, "hash_extracts", lambda *_: extracts)
    before = measure_provenance(tree, target, DEFAULT)
    wrong = []
    for path in sorted(p for p in tree.rglob("*") if p.is_file()):
        name, kept = path.relative_to(tree).as_posix(), path.read_bytes()
        path.write_bytes(kept + b"\n")
        after = measure_provenance(tree, target, DEFAULT)
        path.write_bytes(kept)
        moved = {k for k in before if before[k] != after[k]} - {"all", "inputs"}
        wanted = {expected_part(name)} - {None}
        if moved != wanted or (before["all"] != after["all"]) != bool(wanted):
            wrong.append(f"{name}: moved {sorted(moved)}, wanted {sorted(filter(None, wanted))}")
    assert not wrong, wrong[:10]


def test_every_value_of_the_policy_is_covered() -> None:
    target = load_target(ROOT, TARGET)
    plain = measure_provenance(ROOT, target, DEFAULT)
    other = measure_provenance(ROOT, target, Policy(margin=0.006))
    assert {k for k in plain if plain[k] != other[k]} == {"policy", "all"}
