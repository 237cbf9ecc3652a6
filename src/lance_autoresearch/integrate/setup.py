"""`lar integrate setup`: everything that a verdict needs, once per machine, resumable.

    set_up(space, say)      sources -> lock file -> cargo -> program -> datasets

Each step is recorded when it is finished (`state`), so a killed setup goes on where it was. cargo
runs the build scripts of crates whose digests are those of the lock file that Lance itself ships;
datasets are written by the program in the sandbox, with every hook empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lance_autoresearch.errors import BuildFault, LarError, MachineError, UpstreamError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.sandbox import ResourceLimits, run_sandboxed
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.integrate.protoc import find_protoc
from lance_autoresearch.integrate.state import (
    DatasetState,
    State,
    describe_sources,
    find_dataset_fault,
    hash_dataset,
    hash_file,
    list_data_files,
    read_state,
    write_state,
)
from lance_autoresearch.integrate.workspace import (
    FULL,
    Workspace,
    describe_workspace,
    find_crates,
    lay_out,
    load_pins,
)
from lance_autoresearch.rules.policy import QUERIES
from lance_autoresearch.text.plain_text import strip_text

Say = Callable[[str], None]
_MAKE = ResourceLimits(seconds=3600, memory_bytes=48 << 30, file_bytes=8 << 30)
"""What making one dataset may use."""


def set_up(space: Workspace, say: Say, *, jobs: int | None = None) -> State:
    """Build the program and its datasets, or what is missing of them.

    Raises:
        MachineError: no disk space, no protoc, another setup runs, or a dataset was not made.
        UpstreamError: an archive differs, or Lance moved under a hook.
        BuildFault: cargo failed.
    """
    with hold_workspace(space):
        state = read_state(space)
        sources = describe_sources(space)
        if not _is_built(space, state, sources):
            _require_disk(space, say)
            # What is half built must not be taken for what was built before.
            write_state(space, replace(state, sources="", program=""))
            lay_out(space, say)
            _lay_lock_file(space, say)
            seconds = _run_cargo(space, say, jobs)
            state = replace(
                state, sources=sources, program=hash_file(space.binary), seconds=seconds
            )
            write_state(space, state)
        for name in list_datasets(space):
            state = _ensure_dataset(space, state, name, say)
    return state


@contextlib.contextmanager
def hold_workspace(space: Workspace) -> Iterator[None]:
    """Hold the workspace alone. Raises MachineError at once if another process does."""
    space.home.mkdir(parents=True, exist_ok=True)
    with (space.home / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(
                "another `lar integrate` uses this workspace", where=str(space.home.name),
                next="wait for it; `./lar doctor` shows how far a setup is",
            ) from None  # fmt: skip
        yield


def is_held(space: Workspace) -> bool:
    """Whether a process uses the workspace now."""
    with contextlib.suppress(FileNotFoundError), (space.home / "lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def describe_readiness(root: Path) -> tuple[bool, str]:
    """Whether whole queries can be measured, and what is there. Bytes are checked at use."""
    try:
        space = describe_workspace(root)
        state = read_state(space)
        current = state.sources == describe_sources(space)
    except LarError as error:
        return False, error.what
    lance = f"Lance {space.version}"
    if is_held(space):
        count = len(list((space.home / "target" / "release" / "deps").glob("*.rlib")))
        return bool(state.program), f"{lance} is in use or being built ({count} crates so far)"
    if not state.program or not space.binary.is_file():
        return False, f"{lance} is not built here"
    if not current:
        return False, f"{lance} was built from other sources"
    return True, f"{lance} with hooks; datasets {', '.join(sorted(state.datasets))}"


def _is_built(space: Workspace, state: State, sources: str) -> bool:
    return (
        state.sources == sources
        and space.binary.is_file()
        and hash_file(space.binary) == state.program
    )


def _require_disk(space: Workspace, say: Say) -> None:
    """Say what it takes before anything is fetched; refuse where the disk is too small."""
    if space.program != FULL:
        return
    has = sum(p.stat().st_size for p in space.home.rglob("*") if p.is_file())
    need = max(0, QUERIES.disk_bytes - has)
    free = shutil.disk_usage(space.home).free
    say(
        f"Lance {space.version} is built once: about {QUERIES.build_minutes:.0f} minutes on two "
        f"cores and {QUERIES.disk_bytes / 1e9:.0f} GB of disk ({has / 1e9:.1f} GB are there)"
    )
    if free < need:
        raise MachineError(
            f"{need / 1e9:.1f} GB of disk are needed, {free / 1e9:.1f} GB are free",
            where=str(space.home.name), next="make room, or set LAR_INTEGRATE_HOME to another disk",
        )  # fmt: skip


def _lay_lock_file(space: Workspace, say: Say) -> None:
    """Lance's own lock file, with our crates added and nothing else changed."""
    shipped = (find_crates(space, say)["lance"] / "Cargo.lock").read_bytes()
    place = space.source / "Cargo.lock"
    itself = load_pins(space.root)["lance"]
    if not place.is_file() or list_drift(shipped.decode(), place.read_text(), itself):
        write_atomically(place, shipped)
    cargo = Toolchain.probe(space.root).cargo
    for words in (["metadata", "--format-version=1", "--quiet"], ["fetch", "--locked", "--quiet"]):
        say(f"cargo {words[0]}")
        done = subprocess.run(
            [cargo, *words], cwd=space.source, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BuildFault(
                f"cargo {words[0]}: {done.stderr.strip()[-400:]}", where=space.program,
                next="./lar doctor (is a registry reachable?)",
            )  # fmt: skip
    drift = list_drift(shipped.decode(), place.read_text(), itself)
    if drift:
        raise UpstreamError(
            f"not the versions that Lance ships: {', '.join(drift[:5])}", where="Cargo.lock"
        )


def list_drift(shipped: str, used: str, itself: str) -> list[str]:
    """Registry crates of a lock file that are not in the shipped one, name and digest.

    A shipped lock file names the crate that it ships with without a source: our program takes
    that crate from the registry, and `itself` is its digest.
    """

    def read(text: str, own: str) -> set[tuple[str, str, str]]:
        return {
            (p["name"], p["version"], p.get("checksum", own))
            for p in tomllib.loads(text).get("package", [])
            if p.get("source") or own
        }

    others = read(used, "") - read(shipped, itself)
    return sorted(f"{name} {version}" for name, version, _ in others)


def _run_cargo(space: Workspace, say: Say, jobs: int | None) -> float:
    """Build the program; returns the seconds it took."""
    tools = Toolchain.probe(space.root)
    argv = [tools.cargo, "build", "--release", "--locked", "--color=never"]
    argv += [f"--jobs={jobs}"] if jobs else []
    environment = {**os.environ, "RUSTC": tools.rustc, "CARGO_TERM_PROGRESS_WHEN": "never"}
    environment.pop("RUSTFLAGS", None)
    if space.program == FULL:
        environment["PROTOC"] = str(find_protoc(space, say))
    total, begun = _count_crates(space), time.monotonic()
    tail: list[str] = []
    with subprocess.Popen(
        argv, cwd=space.source, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        count = 0
        for line in process.stderr:
            tail = [*tail[-40:], line.rstrip()]
            if match := re.match(r"\s+Compiling (\S+) v(\S+)", line):
                count += 1
                spent = time.monotonic() - begun
                say(f"[{count}/{total}, {spent / 60:.0f} min] {match[1]} {match[2]}")
    if process.returncode:
        raise BuildFault(_find_error(tail), where=f"cargo build of {space.program}")
    return time.monotonic() - begun


def _count_crates(space: Workspace) -> int:
    """How many crates the lock file has: an upper bound of those that are compiled."""
    with contextlib.suppress(OSError, ValueError):
        return len(tomllib.loads((space.source / "Cargo.lock").read_text())["package"])
    return 0


def _find_error(lines: list[str]) -> str:
    """cargo's first error of its last lines."""
    begin = next((i for i, line in enumerate(lines) if line.startswith("error")), 0)
    return strip_text(" ".join(lines[begin:]), 800)


def list_datasets(space: Workspace) -> list[str]:
    """Names of all datasets of the program."""
    return _ask_program(space, "datasets").split()


def list_classes(space: Workspace) -> dict[str, str]:
    """Query class -> its dataset (empty: it needs none), in the program's order."""
    rows = (line.split(" ") for line in _ask_program(space, "classes").splitlines())
    return {row[0]: row[1] for row in rows}


def _ask_program(space: Workspace, verb: str) -> str:
    done = subprocess.run(
        [space.binary, verb], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise MachineError(f"cannot be run: {strip_text(done.stderr)}", where=space.binary.name)
    return done.stdout


def _ensure_dataset(space: Workspace, state: State, name: str, say: Say) -> State:
    """Make a dataset unless it is finished and unchanged; the new state."""
    if find_dataset_fault(space, state, name) is None:
        return state
    kept = {key: value for key, value in state.datasets.items() if key != name}
    state = replace(state, datasets=kept)
    write_state(space, state)
    say(f"dataset {name}")
    space.data.mkdir(parents=True, exist_ok=True)
    done = run_sandboxed(
        [str(space.binary), "make", str(space.data), name], workdir=space.data,
        readable=[space.binary], limits=_MAKE,
    )  # fmt: skip
    if done.code:
        text = strip_text(done.stderr.decode(errors="replace"), 400)
        raise MachineError(f"was not made: {done.killed or text}", where=f"dataset {name}")
    folder = space.data / name
    made = DatasetState(hash_dataset(folder), list_data_files(folder), state.sources)
    state = replace(state, datasets={**kept, name: made})
    write_state(space, state)
    return state


def remove_workspace(space: Workspace) -> int:
    """Delete everything; the bytes that were freed."""
    with hold_workspace(space):
        freed = sum(p.stat().st_size for p in space.home.rglob("*") if p.is_file())
        shutil.rmtree(space.home)
    return freed

