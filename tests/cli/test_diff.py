"""`lar diff` compares one kernel with Lance; the former verbs still do what they did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from agent_parts import TARGET, checkout, fresh, own_lock  # noqa: F401
from kernels import around

ROOT = Path(__file__).resolve().parents[2]
LAR = Path(sys.executable).parent / "lar"
CASE = ROOT / "tests" / "data" / "gate" / "synthetic-win.json"


def lar(root: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAR_ROOT": str(root)}
    return subprocess.run([LAR, *words], cwd=root, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("diff"))


@pytest.fixture(scope="module")
def wrong(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lance's kernel, except that the first sum of a scan is off by one."""
    text = fresh(root).read_kernel()
    path = tmp_path_factory.mktemp("targets") / "targets" / TARGET / "wrong.rs"
    path.parent.mkdir(parents=True)
    spoil = "if let Some(first) = out.first_mut() { *first += 1.0; }"
    path.write_bytes(around(text, "scan8", after=spoil))
    return path


def test_a_wrong_kernel_is_shown_with_its_values(root: Path, wrong: Path) -> None:
    done = lar(root, "diff", wrong, "--json")  # the target follows from the path
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2, done.stdout + done.stderr
    first = next(line for line in lines if not line["ok"])
    assert "disagrees with Lance" in first["detail"] and " vs " in first["detail"]
    number = first["what"].removeprefix("case ")
    assert first["detail"].endswith(f"Only this case: --case {number}")
    one = lar(root, "diff", wrong, "--case", number)
    assert one.returncode == 2 and "0 of 1 cases equal" in one.stdout


def test_the_target_must_follow_from_the_path_or_be_named(root: Path, tmp_path: Path) -> None:
    loose = tmp_path / "kernels.rs"
    loose.write_text("use std::fs;\n")
    done = lar(root, "diff", loose)
    assert done.returncode == 64 and "cannot infer the target" in done.stderr
    named = lar(root, "diff", loose, "--target", TARGET)
    assert named.returncode == 2 and "std::fs" in named.stdout


def test_former_verbs_work_and_name_their_successors(root: Path, wrong: Path) -> None:
    new, old = lar(root, "rejudge", CASE), lar(root, "gate", CASE)
    assert (old.returncode, old.stdout) == (new.returncode, new.stdout) == (0, new.stdout)
    assert "`lar rejudge" in old.stderr and new.stderr == ""
    refused = lar(root, "check", TARGET, "--kernel", wrong, "--case", "-1")
    assert refused.returncode == 64 and "no case -1" in refused.stderr
    assert "`lar diff" in refused.stderr
    lone = lar(root, "check", TARGET, "--case", "3")
    assert lone.returncode == 64 and "lar diff KERNEL --case 3" in lone.stderr
    assert "`lar validate" in lone.stderr


def test_former_verbs_are_in_no_help_and_no_suggestion() -> None:
    shown = lar(ROOT, "--help").stdout.split()
    assert "check:" not in shown and "gate:" not in shown and "rejudge:" in shown
    wrong_name = lar(ROOT, "gat")
    assert "lar gate" not in wrong_name.stderr
