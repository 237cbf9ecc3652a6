"""What `lar integrate setup` has finished, and whether it still is what it was.

    state = read_state(space)             what is recorded
    ready = require_ready(space, names)   MachineError if anything is missing, older or changed

`state.json` is written after each finished step and names digests: of the sources, the program, and
every file of every dataset. What it does not name, or names otherwise, was never built.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lance_autoresearch.build.kit import hash_parts
from lance_autoresearch.errors import MachineError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.integrate.workspace import FLAGS, Workspace, load_pins
from lance_autoresearch.oracle.lock import Lock

SETUP = "./lar integrate setup"


@dataclass(frozen=True, slots=True)
class DatasetState:
    """A finished dataset."""

    digest: str
    """Of names and contents of all files."""
    files: Mapping[str, tuple[int, int]]
    """Name -> size and time of change: where both are the same, the content is not read again."""
    sources: str
    """Digest of the sources of the program that wrote it."""


@dataclass(frozen=True, slots=True)
class State:
    """What is finished."""

    sources: str = ""
    """Digest of everything that the program is built from, the compiler included."""
    program: str = ""
    """sha256 of the binary."""
    seconds: float = 0.0
    """How long the last build took."""
    datasets: Mapping[str, DatasetState] = field(default_factory=dict)


def read_state(space: Workspace) -> State:
    """The recorded state; an empty one if there is none, or it cannot be read."""
    try:
        table = json.loads((space.home / "state.json").read_text())
        datasets = {
            name: DatasetState(
                one["digest"], {k: (v[0], v[1]) for k, v in one["files"].items()}, one["sources"]
            )
            for name, one in table["datasets"].items()
        }
        return State(table["sources"], table["program"], float(table["seconds"]), datasets)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return State()


def write_state(space: Workspace, state: State) -> None:
    """Record what is finished."""
    write_atomically(space.home / "state.json", json.dumps(asdict(state), indent=1).encode())


def describe_sources(space: Workspace) -> str:
    """Digest of all that decides the program's bytes, without reading Lance's sources again.

    Those are named by the pinned digests of their archives.
    """
    archives = {**Lock.read(space.root).archives, **load_pins(space.root)}
    parts = [space.program, space.version, *FLAGS, Toolchain.probe(space.root).verbose]
    parts += [f"{crate} {archives.get(crate)}" for crate in (*space.crates, "lance")]
    parts += [repr(edit) for edit in space.edits]
    for folder in (space.program, "hook", "serve"):
        base = space.root / "integrate" / folder
        for path in sorted(p for p in base.rglob("*") if p.suffix in (".rs", ".toml")):
            parts += [str(path.relative_to(base)), path.read_text()]
    for target in space.targets:
        for name in ("hook.rs", "install.rs"):
            parts.append((space.root / "targets" / target / "integration" / name).read_text())
    return hash_parts(*parts)


def hash_file(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def list_data_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Name below the folder -> size and time of change."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        about = path.stat()
        found[str(path.relative_to(folder))] = (about.st_size, about.st_mtime_ns)
    return found


def hash_dataset(folder: Path) -> str:
    """Digest of names and contents."""
    parts = []
    for name in list_data_files(folder):
        parts += [name, hash_file(folder / name)]
    return hash_parts(*parts)


def require_ready(space: Workspace, datasets: Iterable[str]) -> State:
    """The state, if the program and these datasets are finished and unchanged.

    Raises:
        MachineError: with what is not, and the command that makes it.
    """
    state = read_state(space)
    where = f"integration of Lance {space.version}"
    if not state.program or not space.binary.is_file():
        raise MachineError("is not set up on this machine", where=where, next=SETUP)
    if state.sources != describe_sources(space):
        raise MachineError("was built from other sources than these", where=where, next=SETUP)
    if hash_file(space.binary) != state.program:
        raise MachineError("the program is not the one that was built", where=where, next=SETUP)
    for name in datasets:
        fault = find_dataset_fault(space, state, name)
        if fault:
            raise MachineError(fault, where=f"dataset {name}", next=SETUP)
    return state


def find_dataset_fault(space: Workspace, state: State, name: str) -> str | None:
    """Why a dataset may not be used, or None."""
    known, folder = state.datasets.get(name), space.data / name
    if known is None or not folder.is_dir():
        return "was never finished"
    files = list_data_files(folder)
    if files == dict(known.files):
        return None
    if {k: v[0] for k, v in files.items()} != {k: v[0] for k, v in known.files.items()}:
        return "has other files than it was made with"
    return None if hash_dataset(folder) == known.digest else "has changed since it was made"
