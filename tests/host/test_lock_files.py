"""Locks whatever lies at their names: nothing hangs, nothing is taken for a lock that is none."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from campaign_parts import TARGET, begin_campaign, checkout

from lance_autoresearch.bench.epoch import _lock_directory
from lance_autoresearch.campaign.tally import find_loop_dir, is_loop_running, lock_loop
from lance_autoresearch.errors import LarError, MachineError
from lance_autoresearch.host import scratch
from lance_autoresearch.host.lock_files import BusyLock, hold_lock_file, is_locked
from lance_autoresearch.host.machine_lock import lock_machine

LAR = Path(sys.executable).parent / "lar"


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
        server.bind(path.name)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o020600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a socket": make_socket,
    "a directory": Path.mkdir,
    "a symbolic link": lambda path: path.symlink_to(path.name),  # a loop
    "a symbolic link (dangling)": lambda path: path.symlink_to("nowhere"),
    "a device": make_device,
}


@pytest.fixture(params=list(FOREIGN))
def foreign(request: pytest.FixtureRequest) -> tuple[str, Callable[[Path], object]]:
    return request.param.partition(" (")[0], FOREIGN[request.param]


def test_another_kind_of_file_is_named_and_left_alone(
    tmp_path: Path, foreign: tuple[str, Callable[[Path], object]]
) -> None:
    kind, make = foreign
    path = tmp_path / "lock"
    make(path)
    before = path.lstat()
    with pytest.raises(MachineError, match=f"{kind} lies where a lock file"), \
            hold_lock_file(path, "exclusive", wait_s=5):  # fmt: skip
        pass
    assert path.lstat() == before and not (tmp_path / "nowhere").exists()
    assert not is_locked(path)


def test_every_lock_of_ours_refuses_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    foreign: tuple[str, Callable[[Path], object]],
) -> None:  # fmt: skip
    kind, make = foreign
    mine = begin_campaign(tmp_path / "c")
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path / "locks"))
    (tmp_path / "locks").mkdir()
    (tmp_path / "epochs").mkdir()
    (mine.desk.private / "lock").unlink()
    places: list[tuple[Path, Callable[[], contextlib.AbstractContextManager[object]]]] = [
        (tmp_path / "locks" / "lar-machine.turn", lambda: lock_machine("exclusive")),
        (mine.desk.private / "lock", mine.desk.hold_lock),
        (find_loop_dir(mine.desk) / "loop.lock", lambda: lock_loop(mine.desk)),
        (tmp_path / "epochs" / "lock", lambda: _lock_directory(tmp_path / "epochs")),
    ]
    for path, hold in places:
        make(path)
        with pytest.raises(LarError, match=kind), hold():
            pass
    assert not is_loop_running(mine.desk)


@pytest.mark.parametrize("name", ["lar-machine.lock", "lar-machine.turn"])
def test_a_command_says_what_lies_there(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / name)
    code = "from lance_autoresearch.host.machine_lock import lock_machine as l\nwith l('shared'): 0"
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert "a named pipe lies where a lock file belongs" in done.stderr


HOLD = """
import sys
from lance_autoresearch.host.machine_lock import lock_machine
with lock_machine("exclusive"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(*before: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the machine."""
    with subprocess.Popen([*before, sys.executable, "-c", HOLD], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def removals(place: Path) -> Iterator[Callable[[], object]]:
    yield lambda: [path.unlink() for path in place.glob("lar-machine.*")]
    yield lambda: [path.rename(path.with_suffix(".old")) for path in place.glob("lar-machine.*")]


@pytest.mark.parametrize("which", [0, 1])
def test_a_lock_that_is_removed_while_it_is_held_lets_no_one_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path))
    with holder():
        list(removals(tmp_path))[which]()
        with pytest.raises(MachineError, match="busy"), lock_machine("exclusive", timeout=0.3):
            pass
    with lock_machine("exclusive", timeout=5):
        pass


def holds_open(pid: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return any(fd.readlink() == path for fd in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_one_that_waited_for_a_removed_lock_takes_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    waiting = (
        "import sys, os\nfrom pathlib import Path\n"
        "from lance_autoresearch.host.lock_files import hold_lock_file\n"
        f"with hold_lock_file(Path({str(path)!r}), 'exclusive') as fd:\n"
        "    print(os.fstat(fd).st_ino, flush=True); sys.stdin.read()"
    )
    with hold_lock_file(path, "exclusive"):
        other = subprocess.Popen([sys.executable, "-c", waiting], text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        while not holds_open(other.pid, path):
            time.sleep(0.01)
        path.unlink()
    assert other.stdout is not None
    assert int(other.stdout.readline()) == path.stat().st_ino
    assert is_locked(path)
    with pytest.raises(BusyLock), hold_lock_file(path, "exclusive", wait_s=0.05):
        pass
    other.communicate(timeout=20)
    assert not is_locked(path)


def test_a_lock_of_another_user_that_may_only_be_read_will_do(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    path.chmod(0o444)
    with hold_lock_file(path, "exclusive", wait_s=1):
        assert is_locked(path)


def has_namespaces() -> bool:
    done = subprocess.run(["unshare", "-pf", "--mount-proc", "true"], capture_output=True)
    return done.returncode == 0


needs_namespaces = pytest.mark.skipif(
    not has_namespaces(), reason="unshare -pf --mount-proc does not work here"
)
OTHER = ("unshare", "-pf", "--mount-proc")


@needs_namespaces
def test_the_machine_is_held_across_pid_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAR_LOCK_DIR", str(tmp_path))
    with (
        holder(*OTHER),
        pytest.raises(MachineError, match="busy"),
        lock_machine("shared", timeout=0.3),
    ):
        pass


@needs_namespaces
def test_scratch_of_a_living_process_is_not_removed_from_another_pid_namespace(
    tmp_path: Path
) -> None:
    sweep = (
        "from pathlib import Path\nfrom lance_autoresearch.host import scratch\n"
        f"root = Path({str(tmp_path)!r})\n"
        "with scratch.hold_scratch(root, 'bench') as mine: pass\n"
        "scratch.sweep_scratch(root)"
    )
    with scratch.hold_scratch(tmp_path, "bench") as mine:
        (mine / "pool").write_bytes(b"x")
        subprocess.run([*OTHER, sys.executable, "-c", sweep], check=True)
        assert (mine / "pool").read_bytes() == b"x"
    assert list((tmp_path / ".lar" / "tmp").iterdir()) == []


@needs_namespaces
def test_a_loop_in_another_pid_namespace_runs_and_a_killed_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = begin_campaign(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from lance_autoresearch.campaign.settle import CampaignWorkspace\n"
        "from lance_autoresearch.campaign.tally import Run, lock_loop, save_run\n"
        f"desk = CampaignWorkspace(Path({str(tmp_path)!r}), {mine.name!r}, {TARGET!r})\n"
        "with lock_loop(desk):\n"
        "    save_run(desk, Run('tune', phase='trial'))\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    status = [str(LAR), "status"]
    env = {**os.environ, "LAR_ROOT": str(tmp_path)}
    with subprocess.Popen([*OTHER, "--kill-child", sys.executable, "-c", code], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loop:
        assert loop.stdout is not None and loop.stdout.readline() == "held\n"
        for before in ((), OTHER):
            said = subprocess.run([*before, *status], env=env, capture_output=True, text=True)
            assert "now: trial" in said.stdout, said
        loop.kill()
    time.sleep(0.2)
    said = subprocess.run([*OTHER, *status], env=env, capture_output=True, text=True)
    assert "it was killed" in said.stdout


def test_scratch_that_a_killed_process_left_goes_at_the_next_chance(tmp_path: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom lance_autoresearch.host import scratch\n"
        f"with scratch.hold_scratch(Path({str(tmp_path)!r}), 'bench'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    place = tmp_path / ".lar" / "tmp"
    assert len(list(place.iterdir())) == 2
    with scratch.hold_scratch(tmp_path, "kernels"):
        assert len(list(place.glob("bench-*"))) == 0
    assert list(place.iterdir()) == []


def test_scratch_that_moved_away_is_not_missed(tmp_path: Path) -> None:
    with scratch.hold_scratch(tmp_path, "kernels") as fresh:
        (fresh / "product").touch()
        fresh.rename(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["product"]
    assert list((tmp_path / ".lar" / "tmp").iterdir()) == []


def test_a_foreign_file_in_place_of_the_scratch_is_named(tmp_path: Path) -> None:
    checkout(tmp_path)
    (tmp_path / ".lar").mkdir()
    os.mkfifo(tmp_path / ".lar" / "tmp")
    env = {**os.environ, "LAR_ROOT": str(tmp_path)}
    done = subprocess.run([LAR, "gc"], env=env, capture_output=True, text=True, timeout=30)
    assert "Traceback" not in done.stderr
