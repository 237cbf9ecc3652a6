"""The `lar` command itself: help, exit codes, errors for people and for programs."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkout_parts import interruptible
from pace import child_seconds, least_ratio, start_seconds

from lance_autoresearch.cli.app import list_verbs, make_typeable, run_command_line

ROOT = Path(__file__).resolve().parents[2]
LAR = Path(sys.executable).parent / "lar"
HELP_STARTS = 2.0
"""CPU time of `lar --help` at most, in starts of Python (`pace.START`): a quarter of a second.
Agents call it often."""


def lar(*words: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAR_ROOT": str(root)}
    return subprocess.run([LAR, *words], capture_output=True, text=True, env=env, cwd=root)


def checkout(path: Path, target_py: str) -> Path:
    """A checkout with one target whose target.py is given."""
    (path / "targets" / "odd").mkdir(parents=True)
    (path / "targets" / "odd" / "target.py").write_text(target_py)
    (path / "upstream.toml").write_text('version = "0"\n')
    return path


def test_help_names_every_verb_and_the_exit_codes() -> None:
    done = lar("--help")
    assert done.returncode == 0
    for verb in list_verbs():
        assert verb.name.split()[0] in done.stdout
    assert "4 inconclusive" in " ".join(done.stdout.split())


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from lance_autoresearch.cli.app import run_command_line; "
        "run_command_line(['--help']);"
        "print([m for m in ('numpy', 'matplotlib', 'pydantic', 'tree_sitter', 'sqlite3')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.timing
def test_help_costs_little() -> None:
    lar("--help")  # bytecode and page cache
    spent = least_ratio(lambda: child_seconds([LAR, "--help"]), start_seconds)
    assert spent <= HELP_STARTS


SPEAKS_JSON = {"mcp"}
"""Verbs that speak nothing else."""


@pytest.mark.parametrize("verb", list_verbs(), ids=lambda v: v.name)
def test_every_verb_is_a_documented_function_with_json(verb) -> None:
    module, _, function = verb.path.partition(":")
    found = getattr(importlib.import_module(f"lance_autoresearch.cli.{module}"), function)
    assert inspect.getdoc(found), f"{verb.name} has no docstring"
    speaks = verb.name in SPEAKS_JSON or "json" in inspect.signature(found).parameters
    assert speaks, f"{verb.name} has no --json"


@pytest.mark.parametrize("verb", list_verbs(), ids=lambda v: v.name)
def test_every_verb_has_a_help_page(verb, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*verb.name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert verb.name in SPEAKS_JSON or "--json" in shown


def test_unknown_verb_names_the_nearest() -> None:
    done = lar("target")
    assert done.returncode == 64
    assert "no command 'target'" in done.stderr
    assert done.stderr.endswith("lar targets\n") and "  next:    " in done.stderr


def test_unknown_subcommand_names_the_nearest() -> None:
    done = lar("upstream", "drfit")
    assert done.returncode == 64
    assert "lar upstream drift" in done.stderr


def test_wrong_option_is_usage_never_one() -> None:
    done = lar("doctor", "--jsn")
    assert done.returncode == 64
    assert "--jsn" in done.stderr and "Traceback" not in done.stderr


def test_failure_as_json() -> None:
    done = lar("doctor", "--json", "--bogus")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["exit_code"]) == (64, 64)
    assert error["next"].removeprefix("./") == "lar doctor --help"


def test_the_next_command_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = make_typeable("lar try, `lar status`, ./lar log, .venv/bin/lar gc, the similar case")
    assert said == "./lar try, `./lar status`, ./lar log, .venv/bin/lar gc, the similar case"
    (tmp_path / "lar").touch(mode=0o755)
    assert make_typeable("lar try") == "lar try" and make_typeable(None) is None


def test_uncaught_exception_is_seventy(tmp_path: Path) -> None:
    root = checkout(tmp_path, "1 / 0\n")
    done = lar("targets", root=root)
    assert done.returncode == 70
    assert "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr
    told = json.loads(lar("targets", "--json", root=root).stdout)["error"]
    assert told["exit_code"] == 70 and "target.py:1" in told["where"]


def test_expected_error_has_its_own_exit_code(tmp_path: Path) -> None:
    done = lar("targets", root=checkout(tmp_path, "TARGET = 3\n"))
    assert done.returncode == 64
    assert done.stderr.startswith("error: targets/odd/target.py: ")
    assert "Traceback" not in done.stderr


def test_control_c_ends_clean(tmp_path: Path) -> None:
    touch = "import pathlib, time\npathlib.Path(__file__).with_name('began').touch()\n"
    root = checkout(tmp_path, touch + "time.sleep(60)\n")
    env = {**os.environ, "LAR_ROOT": str(root)}
    child = subprocess.Popen([LAR, "targets"], stderr=subprocess.PIPE, text=True, env=env,
                             preexec_fn=interruptible)  # fmt: skip
    began = root / "targets" / "odd" / "began"
    deadline = time.monotonic() + 20
    while not began.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=20)
    assert (child.returncode, err.strip()) == (130, "interrupted")


def test_reader_that_goes_away_is_no_defect() -> None:
    command = f"'{LAR}' --help; echo code=$? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({command}) | true"], capture_output=True, text=True, cwd=ROOT
    )
    assert "Traceback" not in done.stderr
    assert "code=70" not in done.stderr


def test_a_full_disk_is_the_machines_fault_not_a_defect() -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{LAR}' targets > /dev/full"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 4
    assert "standard output" in done.stderr and "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_wrapper_says_how_to_set_up(tmp_path: Path) -> None:
    wrapper = tmp_path / "lar"
    wrapper.write_bytes((ROOT / "lar").read_bytes())
    done = subprocess.run(["sh", wrapper], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 4
    assert "make setup" in done.stderr


def test_wrapper_in_a_worktree_uses_the_main_environment(tmp_path: Path) -> None:
    main, work = tmp_path / "main", tmp_path / "main" / ".lar" / "work" / "c1"
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(main)]
    main.mkdir()
    (main / "lar").write_bytes((ROOT / "lar").read_bytes())
    (main / "lar").chmod(0o755)
    fake = main / ".venv" / "bin" / "lar"
    fake.parent.mkdir(parents=True)
    fake.write_text('#!/bin/sh\necho "main environment: $*"\n')
    fake.chmod(0o755)
    for words in (["init", "-q"], ["add", "lar"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(work)], check=True, capture_output=True)
    done = subprocess.run([work / "lar", "try"], capture_output=True, text=True, cwd=work)
    assert done.stdout == "main environment: try\n"
