"""The conductor's client: building, errors, and what it does with untrusted text."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lance_autoresearch.bench.conductor import (
    PROGRAMS,
    TEXT_LIMIT,
    Conductor,
    FailureCode,
    audit_object,
    clean_text,
    ensure_built,
    hash_sources,
)
from lance_autoresearch.bench.pools import seal_pool
from lance_autoresearch.errors import BuildFault, MachineError

ROOT = Path(__file__).resolve().parents[2]

needs_cargo = pytest.mark.skipif(
    shutil.which("cargo") is None or os.uname().sysname != "Linux",
    reason="needs cargo and Linux",
)


def copy_sources(to: Path) -> Path:
    """A checkout that holds nothing but `rust/`."""
    skip = shutil.ignore_patterns("target")
    shutil.copytree(ROOT / "rust", to / "rust", ignore=skip)
    return to


def test_text_of_a_worker_is_bounded_and_harmless() -> None:
    assert clean_text("a\x1b[31mb\nc\u202ed") == "ab cd"
    assert len(clean_text("x" * 5000)) == TEXT_LIMIT


def test_the_digest_follows_the_sources_alone(tmp_path: Path) -> None:
    root = copy_sources(tmp_path)
    before = hash_sources(root)
    (root / "rust/target").mkdir()
    (root / "rust/target/product").write_text("x")
    assert hash_sources(root) == before
    (root / "rust/shim/lib.rs").write_text("// other\n")
    assert hash_sources(root) != before


@needs_cargo
def test_a_second_build_does_nothing() -> None:
    bin_dir = ensure_built(ROOT)
    before = [(bin_dir / name).stat().st_ino for name in PROGRAMS]
    assert ensure_built(ROOT) == bin_dir
    assert [(bin_dir / name).stat().st_ino for name in PROGRAMS] == before


def test_without_cargo_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFault, match="cargo is not on PATH") as caught:
        ensure_built(copy_sources(tmp_path / "root"))
    assert caught.value.next == "lar doctor"


@needs_cargo
def test_a_missing_pool_is_an_error_and_the_conductor_goes_on(tmp_path: Path) -> None:
    with Conductor(ROOT) as conductor:
        for _ in range(2):
            with pytest.raises(MachineError, match=r"none\.pool"):
                conductor.write_expected(tmp_path / "no.so", tmp_path / "none.pool", tmp_path / "w")
        assert conductor.opened is not None
        assert conductor.opened.ticks_per_ns > 0


@needs_cargo
@pytest.mark.parametrize(
    "head",
    [b"LARPOOL3\xff\xff\xff\xff\0\0\0\0{}", b"".join(seal_pool(b"{}", [])), b"short", b"x" * 9000],
)
def test_a_garbled_pool_is_an_error(tmp_path: Path, head: bytes) -> None:
    pool = tmp_path / "bad.pool"
    pool.write_bytes(head)
    with Conductor(ROOT) as conductor, pytest.raises(MachineError, match=r"bad\.pool"):
        conductor.check_pools(tmp_path / "no.so", [(pool, pool)], seed=1)


@needs_cargo
def test_an_unknown_box_is_refused() -> None:
    with pytest.raises(MachineError, match="bwrap, landlock, none"):
        Conductor(ROOT, box="cardboard").start()


@needs_cargo
def test_a_conductor_that_dies_is_an_error_not_a_hang(tmp_path: Path) -> None:
    conductor = Conductor(ROOT)
    conductor.start()
    assert conductor.pid is not None
    os.kill(conductor.pid, 9)
    with pytest.raises(MachineError, match="lost"):
        conductor.write_expected(tmp_path / "no.so", tmp_path / "p", tmp_path / "w")
    conductor.close()


@needs_cargo
@pytest.mark.parametrize(
    ("line", "answer", "code"),
    [
        (b'{"v":2,"cmd":"open"}', b"unknown version 2", FailureCode.BAD_COMMAND),
        (b'{"cmd":"open"}', b"unknown version null", FailureCode.BAD_COMMAND),
        (b"garbage", b"not JSON", FailureCode.BAD_COMMAND),
        (b'{"v":1,"cmd":"\xff\xfe"}', b"not JSON", FailureCode.BAD_COMMAND),
        (b'{"v":1,"cmd":"check","lib":"a","pools":[],"seed":1}', b"missing field `features`",
         FailureCode.BAD_COMMAND),
        (b'{"v":1,"cmd":"fly"}', b"unknown variant", FailureCode.BAD_COMMAND),
        (b'{"v":1,"cmd":"check","lib":"a","pools":[],"seed":1,"features":null}', b"not open",
         FailureCode.NOT_OPEN),
    ],
)  # fmt: skip
def test_a_line_it_does_not_know_is_refused(
    line: bytes, answer: bytes, code: FailureCode
) -> None:
    program = ensure_built(ROOT) / "lar-conductor"
    done = subprocess.run([str(program), "serve"], input=line + b"\n\n", capture_output=True,
                          check=False, timeout=30)
    assert done.returncode == 0
    first, second = done.stdout.splitlines()
    assert answer in first
    assert json.loads(first)["ok"] is False
    assert json.loads(first)["code"] == code
    assert b"not JSON" in second, "it goes on"


@needs_cargo
def test_audit_of_something_else_is_an_error(tmp_path: Path) -> None:
    other = tmp_path / "text.o"
    other.write_text("not an object")
    with pytest.raises(BuildFault, match="audit"):
        audit_object(ROOT, other)


def test_a_conductor_that_was_killed_is_started_again_when_it_is_needed() -> None:
    with Conductor(ROOT) as conductor:
        first = conductor.pid
        conductor.ensure_running()
        assert first is not None and conductor.pid == first
        os.kill(first, signal.SIGKILL)
        until = time.monotonic() + 10
        while conductor.pid == first and time.monotonic() < until:
            conductor.ensure_running()
            time.sleep(0.02)
        assert conductor.pid not in (None, first)
