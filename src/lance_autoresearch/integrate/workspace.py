"""Where a patched Lance is built: copies of its crates with hooks, and the programs of our own.

    space = describe_workspace(root, "e2e")
    lay_out(space)                  # writes what changed; UpstreamError if Lance moved

      .lar/integrate/14.0.2/      e2e/  hook/  serve/  crates/lance-index/ ...  target/  data/

Paths are final: cargo's artifact hashes depend on them. Files are written only where they differ,
since a new time stamp alone would compile Lance again. `light` is the same with one small crate.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lance_autoresearch.build.kit import hash_parts
from lance_autoresearch.errors import UpstreamError, UsageError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.integrate.patches import Edit, apply_edits, load_edits
from lance_autoresearch.oracle.archives import Archives
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import load_manifest

FULL, LIGHT = "e2e", "light"
PROGRAMS = (FULL, LIGHT)
HOME = "LAR_INTEGRATE_HOME"
"""Environment variable: another place for the workspaces than `.lar/integrate`."""
FLAGS = ("-C", "target-cpu=haswell", "-C", "target-feature=+avx2,+fma,+f16c")
"""What Lance's own repository builds x86-64 with."""
PINS = "pins.toml"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One program and what it is built from."""

    root: Path
    program: str
    home: Path
    version: str
    crates: tuple[str, ...]
    """Crates of Lance with hooks in them."""
    edits: tuple[Edit, ...]
    """Those of these crates."""

    @property
    def source(self) -> Path:
        """Where cargo runs."""
        return self.home / self.program

    @property
    def binary(self) -> Path:
        """The program, once it is built."""
        return self.home / "target" / "release" / f"lar-{self.program}"

    @property
    def data(self) -> Path:
        """Where its datasets lie."""
        return self.home / "data"

    @property
    def targets(self) -> tuple[str, ...]:
        """Targets whose hooks it has."""
        return tuple(sorted({edit.target for edit in self.edits}))


def describe_workspace(root: Path, program: str = FULL) -> Workspace:
    """What a program is built from. Raises UpstreamError for a faulty manifest."""
    if program not in PROGRAMS:
        raise UsageError(f"no program '{program}'", allowed=PROGRAMS)
    version = load_manifest(root).version
    manifest = tomllib.loads((root / "integrate" / program / "Cargo.toml").read_text())
    crates = tuple(sorted(manifest["patch"]["crates-io"]))
    edits = tuple(edit for edit in load_edits(root) if edit.crate in crates)
    base = os.environ.get(HOME) or ensure_lar_dir(root, "integrate")
    name = version if program == FULL else f"{version}-{program}"
    return Workspace(root, program, Path(base).resolve() / name, version, crates, edits)


def lay_out(space: Workspace, say: Callable[[str], None] | None = None) -> str:
    """Write every source file that is missing or differs; returns the digest of all of them.

    Raises:
        UpstreamError: an archive's digest differs, or an anchor is not where it was.
    """
    files = collect_files(space, say)
    for path, data in files.items():
        place = space.home / path
        if not place.is_file() or place.read_bytes() != data:
            write_atomically(place, data)
    for crate in space.crates:
        _remove_others(space.home / "crates" / crate, space.home, files)
    return hash_sources(files)


def hash_sources(files: Mapping[str, bytes]) -> str:
    """Digest of all sources, the lock file's origin included."""
    return hash_parts(*(x for item in sorted(files.items()) for x in item))


def _remove_others(folder: Path, home: Path, files: Mapping[str, bytes]) -> None:
    """A file that an archive does not have must not take part in a build."""
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(home)) not in files:
            path.unlink()


def collect_files(space: Workspace, say: Callable[[str], None] | None = None) -> dict[str, bytes]:
    """Path below the workspace's home -> content, of all sources."""
    files: dict[str, bytes] = {}
    for folder in (space.program, "hook", "serve"):
        base = space.root / "integrate" / folder
        for path in sorted(p for p in base.rglob("*") if p.suffix in (".rs", ".toml")):
            if path.name != PINS:
                files[f"{folder}/{path.relative_to(base)}"] = path.read_bytes()
    flags = ", ".join(f'"{flag}"' for flag in FLAGS)
    config = '[build]\ntarget-dir = "../target"\n\n[target.x86_64-unknown-linux-gnu]\n'
    files[f"{space.program}/.cargo/config.toml"] = f"{config}rustflags = [{flags}]\n".encode()
    files |= _collect_targets(space)
    crates = find_crates(space, say)
    for crate in space.crates:
        files |= _collect_crate(space, crate, crates[crate])
    return files


def _collect_targets(space: Workspace) -> dict[str, bytes]:
    """The targets' own parts, and the two files that list them."""
    files: dict[str, bytes] = {}
    arms, modules = [], []
    for target in space.targets:
        module = target.replace("-", "_")
        place = space.root / "targets" / target / "integration"
        modules.append(f"pub mod {module};\n")
        arms.append(f'        "{target}" => {module}::install(library),\n')
        files[f"hook/src/targets/{module}.rs"] = (place / "hook.rs").read_bytes()
        files[f"{space.program}/src/targets/{module}.rs"] = (place / "install.rs").read_bytes()
    listed = "".join(modules)
    files["hook/src/targets.rs"] = listed.encode()
    head = "use lar_serve::{Library, Watched};\n\n"
    body = (
        "pub fn install(target: &str, library: &Library) -> "
        "Result<Vec<&'static dyn Watched>, String> {\n    match target {\n"
        + "".join(arms)
        + '        _ => Err("no such target".into()),\n    }\n}\n'
    )
    listed = listed.replace("pub ", "")
    files[f"{space.program}/src/targets.rs"] = f"{listed}\n{head}{body}".encode()
    return files


def find_crates(space: Workspace, say: Callable[[str], None] | None = None) -> dict[str, Path]:
    """Verified sources of the patched crates and of `lance`, whose lock file is used."""
    manifest = load_manifest(space.root)
    archives = Archives(space.root, manifest, progress=say)
    digests = {**Lock.read(space.root).archives, **load_pins(space.root)}
    found = {}
    for crate in (*space.crates, "lance"):
        if crate not in digests:
            raise UpstreamError(
                "no digest is pinned", where=crate, next=f"add it to integrate/{PINS}"
            )
        found[crate] = archives.ensure_directory(crate, digests[crate])
    return found


def load_pins(root: Path) -> dict[str, str]:
    """Digests of archives that only integration needs; of this release, or an error."""
    return dict(read_pins(root)["archives"])


def read_pins(root: Path) -> dict[str, Any]:
    """What integration knows of Lance's release. Raises UpstreamError if it is of another one."""
    table = tomllib.loads((root / "integrate" / PINS).read_text())
    version = load_manifest(root).version
    if table["version"] != version:
        raise UpstreamError(
            f"is of release {table['version']}, the oracle of {version}", where=f"integrate/{PINS}"
        )
    return table


def _collect_crate(space: Workspace, crate: str, source: Path) -> dict[str, bytes]:
    """A crate with its hooks, and the dependency that they need."""
    files = {}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = str(path.relative_to(source))
        data = path.read_bytes()
        mine = [edit for edit in space.edits if (edit.crate, edit.file) == (crate, name)]
        if mine:
            data = apply_edits(data.decode(), mine).encode()
        if name == "Cargo.toml":
            data += b'\n[dependencies.lar_hook]\npath = "../../hook"\n'
        files[f"crates/{crate}/{name}"] = data
    missing = {e.file for e in space.edits if e.crate == crate} - {
        name.removeprefix(f"crates/{crate}/") for name in files
    }
    if missing:
        raise UpstreamError(f"has no file {', '.join(sorted(missing))}: Lance moved", where=crate)
    return files
