"""Every end of an agent's program, and of `lar` under it: real processes, with the sandbox and
without it. Nothing that a turn started runs on after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lance_autoresearch.host import agent_sandbox, sandbox
from lance_autoresearch.host.agent_sandbox import ProgramRun, run_program

BOXES = ("bwrap", "none")


@pytest.fixture(params=BOXES)
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With bubblewrap, and as on a machine that has none."""
    if request.param == "none":
        monkeypatch.setattr(sandbox, "find_bubblewrap", lambda: None)
        monkeypatch.setenv(sandbox.UNBOXED, "1")
    elif sandbox.find_bubblewrap() is None:
        pytest.skip("no bubblewrap here")
    monkeypatch.setattr(agent_sandbox, "POLL_S", 0.02)
    return str(request.param)


def errand(tmp_path: Path, script: str, **more: object) -> ProgramRun:
    for name in ("home", "kernel"):
        (tmp_path / name).mkdir(exist_ok=True)
    kernel = tmp_path / "kernel"
    return ProgramRun(["/bin/sh", "-c", script], kernel, tmp_path / "home", kernel, **more)  # type: ignore[arg-type]


def wait_until(true: Callable[[], object], seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def running(mark: str) -> list[str]:
    """Processes with this word in their command line, but not dead ones."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if words[:2] == [b"sleep", mark.encode()] and state != b"Z":
            found.append(entry.name)
    return found


def new_mark() -> str:
    """A number of seconds that no other process sleeps."""
    return f"60{time.monotonic_ns() % 10_000_000}.{os.getpid()}"


def test_a_program_that_gave_its_result_is_ended_after_the_grace_period(
    box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_sandbox, "LINGER_S", 0.3)
    mark = new_mark()
    run = errand(tmp_path, f"echo one; echo RESULT; setsid sleep {mark} & sleep {mark}",
                 is_result=lambda line: line == "RESULT", seconds=30.0)
    ended = run_program(run)
    assert ended.lingered and ended.code == 0 and ended.killed is None
    assert ended.stdout == "one\nRESULT\n" and ended.seconds < 10
    assert wait_until(lambda: not running(mark), 5)


def test_a_program_without_a_result_has_its_whole_time(
    box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_sandbox, "LINGER_S", 0.0)
    run = errand(tmp_path, "echo RESUL; sleep 60", is_result=lambda line: line == "RESULT",
                 seconds=0.5)
    assert run_program(run).killed == "timeout"


@pytest.mark.parametrize("way", [
    "setsid sh -c '{late}' > /dev/null 2>&1 &",
    "(setsid sh -c '({late}) &' &) > /dev/null 2>&1",
    "nohup sh -c '{late}' > /dev/null 2>&1 &",
])
def test_what_a_turn_leaves_behind_writes_nothing_later(
    box: str, tmp_path: Path, way: str
) -> None:
    script = way.format(late="touch up; sleep 0.5; echo late > kernels.rs")
    ended = run_program(errand(tmp_path, f"{script}\nwhile [ ! -e up ]; do sleep 0.01; done"))
    assert ended.code == 0, ended.stderr
    time.sleep(0.7)
    assert (tmp_path / "kernel" / "up").exists()
    assert not (tmp_path / "kernel" / "kernels.rs").exists()


def test_exit_status_and_signal_of_the_program_are_its_own(box: str, tmp_path: Path) -> None:
    assert run_program(errand(tmp_path, "exit 7")).code == 7
    died = run_program(errand(tmp_path, "kill -9 $$")).code
    assert died in (-9, 137)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP],
                         ids=lambda number: number.name)
def test_whatever_ends_lar_ends_its_agent_and_the_agents_orphans(
    box: str, tmp_path: Path, number: signal.Signals
) -> None:
    first, orphan = new_mark(), new_mark()
    run = errand(tmp_path, "true")
    code = textwrap.dedent(f"""
        import signal
        from pathlib import Path
        from lance_autoresearch.host import sandbox
        from lance_autoresearch.host.agent_sandbox import ProgramRun, run_program
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
        if {box!r} == "none":
            sandbox.find_bubblewrap = lambda: None
        script = "(setsid sleep {orphan} &) ; sleep {first}"
        run_program(ProgramRun(["/bin/sh", "-c", script], Path({str(run.writes)!r}),
                               Path({str(run.home)!r}), Path({str(run.cwd)!r})))
    """)
    lar = subprocess.Popen([sys.executable, "-c", code])
    assert wait_until(lambda: running(first) and running(orphan)), "the agent did not start"
    lar.send_signal(number)
    lar.wait(10)
    assert wait_until(lambda: not running(first) and not running(orphan), 10)


def test_a_home_that_grows_too_large_ends_the_turn(
    box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_sandbox, "MEASURE_S", 0.05)
    fill = 'dd if=/dev/zero of="$HOME/big" bs=1M count=8 2> /dev/null; sync; sleep 60'
    ended = run_program(errand(tmp_path, fill, seconds=30.0, most_bytes=4 << 20))
    assert ended.killed == "full" and ended.seconds < 20
    monkeypatch.setenv("LAR_MIN_FREE_GB", "900000000")
    ended = run_program(errand(tmp_path, "sleep 60", seconds=30.0, most_bytes=1 << 40))
    assert ended.killed == "no-room"
