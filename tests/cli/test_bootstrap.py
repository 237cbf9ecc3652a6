"""`make setup`: what it needs, what it says when that is missing, and that it does work once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pace import child_seconds, least_ratio, start_seconds

ROOT = Path(__file__).resolve().parents[2]
CACHED_STARTS = 3.0
"""CPU time of a second `make setup` at most, in starts of Python (`pace.START`): 0.4 s."""


def bootstrap(root: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "tools/bootstrap.sh"],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
    )


def tools_path(at: Path, *without: str) -> str:
    """A PATH with every tool the script may call, except those named."""
    at.mkdir()
    needed = (
        "sh cut cat sed id date mkdir printf find sort xargs sha256sum uname dirname rm env true "
        "git cc python3 rustc cargo uv apt-cache bwrap"
    )
    for name in needed.split():
        # A version manager's shim would need more tools than these.
        found = sys.executable if name == "python3" else shutil.which(name)
        if found and name not in without:
            wrapper = at / name
            wrapper.write_text(f'#!/bin/sh\nexec "{found}" "$@"\n')
            wrapper.chmod(0o755)
    return str(at)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return sources(tmp_path / "checkout")


def sources(root: Path) -> Path:
    """This checkout's package and lock, without Lance's source and the measuring program."""
    root.mkdir()
    for name in ("pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, root / name)
    for name in ("src", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_no_compiler_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    path = tools_path(tmp_path / "bin", "rustc", "cargo")
    done = bootstrap(checkout, PATH=path, CARGO_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "missing: a Rust toolchain" in done.stderr and "no rustc on PATH" in done.stderr
    assert "rustup" in done.stderr and "then again: make setup" in done.stderr
    assert not (checkout / ".venv").exists()


def test_old_compiler_is_named(checkout: Path, tmp_path: Path) -> None:
    path = tools_path(tmp_path / "bin", "rustc")
    old = tmp_path / "bin" / "rustc"
    old.write_text("#!/bin/sh\necho 'rustc 1.85.1 (4eb161250 2025-03-15)'\n")
    old.chmod(0o755)
    done = bootstrap(checkout, PATH=path, CARGO_HOME=str(tmp_path))
    assert done.returncode == 2
    assert f"{old} is 1.85.1" in done.stderr


def test_a_newer_compiler_hidden_by_an_old_one_is_pointed_out(
    checkout: Path, tmp_path: Path
) -> None:
    home = tmp_path / "cargo home"
    home.mkdir()
    newer = tools_path(home / "bin")
    path = tools_path(tmp_path / "old", "rustc", "cargo")
    done = bootstrap(checkout, PATH=path, CARGO_HOME=str(home), LAR_GOAL="demo")
    assert f'PATH="{newer}:$PATH" make demo' in done.stderr


def test_all_that_is_missing_is_said_at_once(checkout: Path, tmp_path: Path) -> None:
    path = tools_path(tmp_path / "bin", "rustc", "cargo", "cc", "git", "python3")
    done = bootstrap(checkout, PATH=path, CARGO_HOME=str(tmp_path), LAR_GOAL="demo")
    missing = [line for line in done.stderr.splitlines() if line.startswith("missing: ")]
    assert [name in line for name, line in zip(NEEDED, missing, strict=True)] == [True] * 4
    assert done.stderr.splitlines()[-1] == "then again: make demo" and not done.stdout


NEEDED = ("git", "linker", "Rust", "Python")


@pytest.mark.parametrize(
    ("candidate", "offered"), [("1.96.0+dfsg1-1", True), ("1.85.0+dfsg3-1", False)]
)
def test_debian_packages_are_offered_only_where_new_enough(
    checkout: Path, tmp_path: Path, candidate: str, offered: bool
) -> None:
    path = tools_path(tmp_path / "bin", "rustc", "cargo", "apt-cache")
    fake = tmp_path / "bin" / "apt-cache"
    fake.write_text(f'#!/bin/sh\nprintf "%s:\\n  Candidate: {candidate}\\n" "$2"\n')
    fake.chmod(0o755)
    done = bootstrap(checkout, PATH=path)
    assert ("apt-get install rustc-web cargo-web" in done.stderr) is offered


def test_no_python_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    done = bootstrap(checkout, PATH=tools_path(tmp_path / "bin", "python3"))
    assert done.returncode == 2
    assert "missing: Python >= 3.11" in done.stderr


def test_no_linker_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    done = bootstrap(checkout, PATH=tools_path(tmp_path / "bin", "cc"))
    assert done.returncode == 2
    assert "linker" in done.stderr and "gcc" in done.stderr


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout set up once, from another directory, and what that printed."""
    root = sources(tmp_path_factory.mktemp("ready") / "checkout")
    done = subprocess.run(
        ["sh", root / "tools" / "bootstrap.sh"], cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return root, done.stdout


@pytest.mark.deep
def test_sets_up_a_working_command(ready: tuple[Path, str]) -> None:
    root, said = ready
    assert "Python packages, into .venv ... done in" in said
    command = [root / ".venv" / "bin" / "lar", "--version"]
    version = subprocess.run(command, capture_output=True, text=True)
    assert version.returncode == 0 and version.stdout.strip()


@pytest.mark.deep
def test_finished_work_is_recognised(ready: tuple[Path, str]) -> None:
    again = bootstrap(ready[0])
    assert (again.returncode, again.stdout.splitlines()) == (0, [f"ready: {ready[0]}"])


@pytest.mark.deep
def test_a_changed_lock_is_noticed(ready: tuple[Path, str]) -> None:
    with (ready[0] / "pyproject.toml").open("a") as file:
        file.write("\n# a change\n")
    assert "Python packages, into .venv ... done in" in bootstrap(ready[0]).stdout


@pytest.mark.timing
def test_second_setup_of_this_checkout_is_quick() -> None:
    bootstrap(ROOT)
    again = ["sh", ROOT / "tools" / "bootstrap.sh"]
    spent = least_ratio(lambda: child_seconds(again, cwd=ROOT), start_seconds)
    assert spent <= CACHED_STARTS


def test_make_help_names_the_two_commands() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True)
    assert "make demo" in done.stdout and "make test" in done.stdout
