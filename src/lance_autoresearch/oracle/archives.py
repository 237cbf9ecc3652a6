"""Downloads crate archives through cargo and unpacks only verified ones.

    crates = Archives(root, manifest, tools=lambda: Toolchain.probe(root))
    crates.ensure_directory("lance-linalg", sha256)  # .lar/upstream/14.0.2/lance-linalg

`cargo info CRATE@VERSION` makes cargo download one archive into its registry cache, from
whatever registry or mirror this machine is set up for. cargo checks it against the
registry's index; this module checks it again against `upstream.lock` before a byte is read.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.move_in import move_in
from lance_autoresearch.host.scratch import hold_scratch
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle.manifest import Manifest

Progress = Callable[[str], None]


def hash_bytes(data: bytes) -> str:
    """Hex digest, as cargo writes checksums."""
    return hashlib.sha256(data).hexdigest()


class Archives:
    """The crates of one release, on disk."""

    def __init__(
        self,
        root: Path,
        manifest: Manifest,
        *,
        offline: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.root = root
        self.manifest = manifest
        self.offline = offline
        self.say = progress or (lambda _: None)

    def ensure_directory(self, crate: str, expected: str | None) -> Path:
        """Directory of a crate's verified sources.

        Args:
            crate: its name.
            expected: sha256 of the archive from upstream.lock; None trusts cargo's own check
                (only `pin` and `drift` do that).

        Raises:
            UpstreamError: not available, or its digest differs.
        """
        if self.manifest.kind == "path":
            return self._find_below_path(crate)
        home = ensure_lar_dir(self.root, "upstream", self.manifest.version)
        target, stamp = home / crate, home / f"{crate}.sha256"
        known = stamp.read_text() if stamp.is_file() and target.is_dir() else None
        if known is not None and expected in (None, known):
            return target
        data = self._load_archive(crate)
        found = hash_bytes(data)
        if expected is not None and found != expected:
            raise UpstreamError(
                f"archive has sha256 {found[:16]}..., upstream.lock says {expected[:16]}...",
                where=f"{crate} {self.manifest.version}",
                next="find out why before anything else; `lar upstream pin` accepts a new one",
            )
        if known is not None:
            stamp.unlink(missing_ok=True)
        top = f"{crate}-{self.manifest.version}"
        with hold_scratch(self.root, "archive") as fresh:
            inside = _unpack_archive(data, top, fresh)
            move_in(
                inside, target, complete=lambda: stamp.is_file() and stamp.read_text() == found
            )
        write_atomically(stamp, found.encode())
        return target

    def find_digest(self, crate: str) -> str:
        """sha256 of the archive that `ensure_directory` unpacked; empty for path sources."""
        if self.manifest.kind == "path":
            return ""
        self.ensure_directory(crate, None)
        home = ensure_lar_dir(self.root, "upstream", self.manifest.version)
        return (home / f"{crate}.sha256").read_text()

    def _load_archive(self, crate: str) -> bytes:
        name = f"{crate}-{self.manifest.version}.crate"
        cached = self._find_cached(name)
        if cached is None:
            self._fetch_with_cargo(crate)
            cached = self._find_cached(name)
        if cached is None:
            raise UpstreamError(
                "cargo did not leave the archive in its registry cache",
                where=f"{crate} {self.manifest.version}",
                next="lar doctor",
            )
        return cached.read_bytes()

    def _find_cached(self, name: str) -> Path | None:
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
        return next(iter(sorted((home / "registry" / "cache").glob(f"*/{name}"))), None)

    def _fetch_with_cargo(self, crate: str) -> None:
        wanted = f"{crate}@{self.manifest.version}"
        if self.offline:
            raise UpstreamError(
                "not in cargo's cache, and --offline forbids fetching it",
                where=wanted,
                next="lar upstream fetch",
            )
        self.say(f"fetching {wanted}")
        with tempfile.TemporaryDirectory() as empty:  # no workspace must answer in its stead
            done = subprocess.run(
                [Toolchain.probe(self.root).cargo, "info", "--quiet", wanted],
                cwd=empty,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise UpstreamError(
                f"cargo cannot fetch it: {done.stderr.strip()[-400:]}",
                where=wanted,
                next="lar doctor (is a registry reachable? does this version exist?)",
            )

    def _find_below_path(self, crate: str) -> Path:
        base = (self.root / (self.manifest.path or "")).resolve()
        for cargo_toml in sorted([*base.glob("Cargo.toml"), *base.glob("**/Cargo.toml")]):
            package = tomllib.loads(cargo_toml.read_text()).get("package", {})
            if package.get("name") == crate:
                return cargo_toml.parent
        raise UpstreamError(f"no crate '{crate}' below {self.manifest.path}", where="[source] path")


def _unpack_archive(data: bytes, prefix: str, to: Path) -> Path:
    """Extract a .crate (gzipped tar, one top directory) below `to`; returns that directory.

    Only plain files: cargo packs nothing else. Own code, because tarfile's filters
    came with Python 3.11.4, and Debian 12 has 3.11.2.
    """
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            if not member.isdir():
                _extract_file(archive, member, to)
    inside = to / prefix
    if not inside.is_dir():
        raise UpstreamError(f"archive has no directory {prefix}", where=prefix)
    return inside


def _extract_file(archive: tarfile.TarFile, member: tarfile.TarInfo, below: Path) -> None:
    """Write one plain file to its place below `below`."""
    path = PurePosixPath(member.name)
    content = archive.extractfile(member) if member.isreg() else None
    if content is None or path.is_absolute() or ".." in path.parts:
        what = "an archive may hold plain files below its own directory only"
        raise UpstreamError(what, where=member.name)
    place = below / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.read())
