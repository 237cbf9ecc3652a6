"""Whole crates that Lance's items call: fetched at a pinned digest, copied beside the extracts.

    files = read_linked_crates(archives, target.crates, lock)
        -> {"crates/roaring/Cargo.toml": b"...", "crates/roaring/src/lib.rs": b"...", ...}
    facts = read_crate_facts(directory)      # entry, edition: what its Cargo.toml says

They come from the registry, whatever the source of Lance's own crates is. Only plain crates are
taken: no build script, no procedural macro, so that compiling one starts nothing but rustc.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.oracle.archives import Archives
from lance_autoresearch.oracle.lock import Lock
from lance_autoresearch.oracle.manifest import LinkedCrate

FOLDER = "crates"
"""Directory of linked crates below a target's extracts."""


@dataclass(frozen=True, slots=True)
class CrateFacts:
    """What a crate's Cargo.toml says about compiling its library."""

    entry: str
    """Path of the library's root, relative to the crate."""
    edition: str


def read_linked_crates(
    archives: Archives, crates: Iterable[LinkedCrate], lock: Lock
) -> dict[str, bytes]:
    """Path below a target's extracts -> bytes, of all files that compiling the crates needs.

    Raises:
        UpstreamError: a crate is not in upstream.lock, differs from it, or is not a plain one.
    """
    files = {}
    for crate in crates:
        expected = lock.archives.get(crate.name)
        if expected is None:
            raise UpstreamError(
                "crate is not in upstream.lock", where=crate.name, next="lar upstream pin"
            )
        home = _select_version(archives, crate).ensure_directory(crate.name, expected)
        read_crate_facts(home)
        for path in [home / "Cargo.toml", *sorted((home / "src").rglob("*.rs"))]:
            files[f"{FOLDER}/{crate.name}/{path.relative_to(home).as_posix()}"] = path.read_bytes()
    return files


def find_crate_digest(archives: Archives, crate: LinkedCrate) -> str:
    """sha256 of the crate's archive, as cargo checked it against its registry."""
    return _select_version(archives, crate).find_digest(crate.name)


def _select_version(archives: Archives, crate: LinkedCrate) -> Archives:
    """The archives of that crate's own version."""
    manifest = replace(archives.manifest, version=crate.version, kind="registry")
    return Archives(
        archives.root, manifest, offline=archives.offline, progress=archives.say
    )


def read_crate_facts(home: Path) -> CrateFacts:
    """Entry and edition of the crate in a directory.

    Raises:
        UpstreamError: it has a build script or is a procedural macro.
    """
    table = tomllib.loads((home / "Cargo.toml").read_text())
    package, library = table["package"], table.get("lib", {})
    scripted = package.get("build", (home / "build.rs").is_file())
    if scripted or library.get("proc-macro"):
        raise UpstreamError(
            "a crate with a build script or a procedural macro cannot be linked",
            where=str(package["name"]),
            next="slice what is needed, or write a stand-in in prelude.rs",
        )
    return CrateFacts(library.get("path", "src/lib.rs"), str(package.get("edition", "2015")))
