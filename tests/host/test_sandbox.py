"""The box, and the machine below it: what a boxed process can see, write, use; the lock."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lance_autoresearch.errors import MachineError, UsageError
from lance_autoresearch.host import (
    checkout,
    files,
    landlock,
    machine,
    machine_lock,
    sandbox,
    toolchain,
)
from lance_autoresearch.host.lock_files import is_locked

BOXES = (
    ["bwrap"] * bool(sandbox.find_bubblewrap())
    + ["landlock"] * bool(landlock.read_version())
    + ["none"]
)
boxed_only = pytest.mark.skipif(sandbox.find_bubblewrap() is None, reason="no bubblewrap here")


def sh(script: str, tmp_path: Path, box: str = "bwrap", **limits: float) -> sandbox.SandboxResult:
    """Run a shell script in the box."""
    bounds = sandbox.ResourceLimits(**limits)  # type: ignore[arg-type]
    return sandbox.run_sandboxed(
        ["/bin/sh", "-c", script], workdir=tmp_path, limits=bounds, box=box
    )


@pytest.mark.parametrize("box", BOXES)
def test_it_runs_in_its_directory_with_a_clean_environment(
    box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUSTFLAGS", "-Ctarget-cpu=native")
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    done = sh("pwd; env | sort | cut -d= -f1; echo made > made; exit 3", tmp_path, box)
    names = done.stdout.decode().split()
    assert done.code == 3 and names[0] == str(tmp_path)
    assert not {"RUSTFLAGS", "LD_PRELOAD", "HOME", "CARGO_HOME"} & set(names)
    assert (tmp_path / "made").read_text() == "made\n" and done.box == box


@boxed_only
def test_the_sandbox_hides_files_network_and_processes(tmp_path: Path) -> None:
    secret = Path.home() / ".cargo"
    script = f"""
        ls {secret} {Path(__file__).parents[1]} 2>/dev/null | head -1
        ls /etc | grep -c passwd
        touch /usr/x /outside 2>/dev/null && echo written
        kill -0 {os.getpid()} 2>/dev/null && echo seen
        cat /proc/net/dev 2>/dev/null | grep eth
        exit 0
    """
    done = sh(script, tmp_path)
    assert done.code == 0 and done.stdout.split() == [b"0"], done


@pytest.mark.skipif(landlock.read_version() < 4, reason="no Landlock of version 4 here")
def test_landlock_keeps_other_files_and_tcp_away(tmp_path: Path) -> None:
    work, secret = tmp_path / "work", tmp_path / "secret"
    work.mkdir()
    secret.write_text("secret")
    script = f"""
import os, signal, socket
for name, reach in {{
    "read": lambda: open({str(secret)!r}),
    "list": lambda: os.listdir({str(tmp_path)!r}),
    "write": lambda: open({str(tmp_path / "made")!r}, "w"),
    "remove": lambda: os.remove({str(secret)!r}),
    "tcp": lambda: socket.create_connection(("127.0.0.1", 9), 1),
    "own": lambda: open("own", "w"),
}}.items():
    try:
        reach()
        print(name, "done")
    except OSError as error:
        print(name, error.errno)
"""
    readable = [sys.base_prefix, sys.prefix]
    argv = [sys.executable, "-I", "-c", script]
    done = sandbox.run_sandboxed(argv, workdir=work, readable=readable, box="landlock")
    refused = [f"{name} {errno.EACCES}" for name in ("read", "list", "write", "remove", "tcp")]
    assert done.stdout.decode().splitlines() == [*refused, "own done"], done.stderr


@pytest.mark.parametrize("box", BOXES[:-1])
def test_readable_paths_can_be_read_and_not_written(box: str, tmp_path: Path) -> None:
    shown, work = tmp_path / "shown", tmp_path / "work"
    shown.mkdir()
    work.mkdir()
    (shown / "file").write_text("text")
    argv = ["/bin/sh", "-c", f"cat {shown}/file; echo more > {shown}/file"]
    done = sandbox.run_sandboxed(argv, workdir=work, readable=[shown], box=box)
    assert done.stdout == b"text" and done.code != 0
    assert (shown / "file").read_text() == "text"


@pytest.mark.parametrize("box", BOXES)
def test_time_ends_the_whole_group(box: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    done = sh("(sleep 30; echo late > late) & sleep 30", tmp_path, box, seconds=0.3)
    assert done.killed == "timeout" and time.monotonic() - begun < 5
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("box", BOXES)
def test_memory_and_file_size_are_bounded(box: str, tmp_path: Path) -> None:
    hungry = [sys.executable, "-c", "print(len(bytearray(1 << 30)))"]
    readable = [Path(sys.base_prefix), Path(sys.prefix)]
    bounds = sandbox.ResourceLimits(memory_bytes=512 << 20)
    done = sandbox.run_sandboxed(
        hungry, workdir=tmp_path, readable=readable, limits=bounds, box=box
    )
    assert done.code != 0 and b"MemoryError" in done.stderr
    done = sh("head -c 100000 /dev/zero > big", tmp_path, box, file_bytes=4096)
    assert done.code != 0 and (tmp_path / "big").stat().st_size <= 4096


@pytest.mark.parametrize("box", BOXES)
def test_output_is_read_up_to_its_bound(box: str, tmp_path: Path) -> None:
    done = sh("yes | head -c 1000000", tmp_path, box, output_bytes=100)
    assert len(done.stdout) == 100


def test_standard_input_is_handed_over(tmp_path: Path) -> None:
    argv = ["/bin/cat"]
    assert (
        sandbox.run_sandboxed(argv, workdir=tmp_path, stdin=b"request", box=BOXES[0]).stdout
        == b"request"
    )


def test_no_sandbox_is_refused_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    sandbox.find_bubblewrap.cache_clear()
    try:
        monkeypatch.delenv(sandbox.UNBOXED, raising=False)
        with pytest.raises(MachineError, match="no box for untrusted code") as caught:
            sandbox.choose_sandbox()
        assert "bubblewrap" in (caught.value.next or "")
        monkeypatch.setenv(sandbox.UNBOXED, "1")
        assert sandbox.choose_sandbox() == "none"
    finally:
        sandbox.find_bubblewrap.cache_clear()


HOLD = """
import sys, time
from lance_autoresearch.host.machine_lock import lock_machine
with lock_machine(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds the machine until it is told to let go."""

    def __init__(self, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLD, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def wait_held(self) -> None:
        """Until it holds the lock."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def let_go(self) -> None:
        """End it."""
        self.process.communicate(timeout=20)


@pytest.fixture
def lock_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of our own, so that the tests do not wait for the machine's."""
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path))
    return tmp_path


def test_builds_share_the_machine_and_measuring_does_not(lock_dir: Path) -> None:
    other = Holder("shared")
    other.wait_held()
    with machine_lock.lock_machine("shared", timeout=5):
        pass
    with (
        pytest.raises(MachineError, match="busy"),
        machine_lock.lock_machine("exclusive", timeout=0.05),
    ):
        pass
    other.let_go()
    with machine_lock.lock_machine("exclusive", timeout=5), machine_lock.lock_machine("shared"):
        third = Holder("shared")
        time.sleep(0.3)
        assert third.process.poll() is None
    third.wait_held()
    third.let_go()


def test_who_waits_to_measure_is_not_overtaken_by_builds(lock_dir: Path) -> None:
    first = Holder("shared")
    first.wait_held()
    waiting = Holder("exclusive")
    while not is_locked(lock_dir / "lar-machine.turn"):
        time.sleep(0.01)
    with pytest.raises(MachineError), machine_lock.lock_machine("shared", timeout=0.1):
        pass
    first.let_go()
    waiting.wait_held()
    waiting.let_go()


def test_sharing_cannot_become_exclusive(lock_dir: Path) -> None:
    with (
        machine_lock.lock_machine("shared"),
        pytest.raises(MachineError, match="cannot become exclusive"),
        machine_lock.lock_machine("exclusive"),
    ):
        pass


def test_the_root_of_a_campaigns_worktree_is_the_outer_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAR_ROOT", raising=False)
    for place in (tmp_path, tmp_path / ".lar" / "work" / "night"):
        (place / "targets" / "pq-l2").mkdir(parents=True)
        (place / "upstream.toml").touch()
    assert checkout.find_root(tmp_path / ".lar/work/night/targets/pq-l2") == tmp_path
    assert checkout.find_root(tmp_path / "targets") == tmp_path


def test_toolchain_is_remembered_and_too_old_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = toolchain.Toolchain.probe(tmp_path)
    assert toolchain.Toolchain.probe(tmp_path) == tools
    assert Path(tools.rustc).is_absolute() and tools.host in tools.verbose
    old = tmp_path / "bin" / "rustc"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'rustc 1.63.0'\necho 'release: 1.63.0'\necho 'host: x'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    with pytest.raises(MachineError, match=r"rustc 1\.63\.0 is too old") as caught:
        toolchain.Toolchain.probe(tmp_path)
    assert "rustup" in (caught.value.next or "")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MachineError, match="not on PATH"):
        toolchain.Toolchain.probe(tmp_path)


def test_the_machine_has_a_kind_and_cores() -> None:
    here = machine.describe_machine()
    assert (
        here["kind"].startswith(here["arch"])
        and int(here["cores"]) == len(machine.list_cores()) >= 1
    )
    assert machine.read_boot_id() == machine.read_boot_id()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    files.write_atomically(path, b"one")
    with pytest.raises(TypeError):
        files.write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"one" and [p.name for p in path.parent.iterdir()] == ["file"]


def test_no_checkout_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAR_ROOT", raising=False)
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "checkout.py"))
    with pytest.raises(UsageError, match="no checkout"):
        checkout.find_root(tmp_path)
