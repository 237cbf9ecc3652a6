"""From verified archives to generated Rust files under `.lar/extracts/<target>/`.

    extracts.toml ── entries ──> Slicer ──> prelude/lance-linalg/distance/l2.rs  (extract!("..."))
                                       ├─> maker/lance-x/a.rs
                                       └─> kernel.rs = header, `use prelude::*;`, items, adapter.rs
    [[crate]] ──────────────────────────> crates/roaring/Cargo.toml, src/...

`fetch_upstream` does nothing, within milliseconds, if the inputs (manifest, lock, adapter, this
package's slicer) and the generated files are those of its last run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.move_in import move_in
from lance_autoresearch.host.scratch import hold_scratch
from lance_autoresearch.oracle.archives import Archives, Progress, hash_bytes
from lance_autoresearch.oracle.linked_crates import find_crate_digest, read_linked_crates
from lance_autoresearch.oracle.lock import NAME as LOCK_NAME
from lance_autoresearch.oracle.lock import Lock, make_item_key
from lance_autoresearch.oracle.manifest import (
    EXTRACTS,
    Entry,
    Manifest,
    TargetExtracts,
    load_manifest,
)
from lance_autoresearch.oracle.manifest import NAME as MANIFEST_NAME
from lance_autoresearch.oracle.slicer import Slicer
from lance_autoresearch.oracle.syntax import Source

CODE = ("slicer.py", "syntax.py", "linked_crates.py", Path(__file__).name)
"""The files of this room on which the generated files depend."""
_ADAPTER_RULE = b"// ---- adapter: fits the items above to the surface (written by hand)\n"


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One extracted item, for `lar upstream show`."""

    target: str
    group: str
    source: str
    spec: str
    line: int
    lines: int
    sha256: str


def ensure_extracts(root: Path, target: str) -> Path:
    """`.lar/extracts/<target>`, made or refreshed first if it is missing or stale."""
    fetch_upstream(root, targets=[target])
    return ensure_lar_dir(root, "extracts") / target


def hash_extracts(root: Path, target: str) -> str:
    """sha256 over every generated file of a target: the ledger's name for the oracle."""
    directory = ensure_extracts(root, target)
    stamp: dict[str, Any] = json.loads((directory / "stamp.json").read_text())
    return hash_bytes(json.dumps(stamp["files"], sort_keys=True).encode())


def fetch_upstream(
    root: Path,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    targets: Sequence[str] | None = None,
) -> None:
    """Fetch, verify, extract and compare with upstream.lock; nothing if all is up to date.

    Args:
        root: the checkout.
        offline: use only archives that cargo already has.
        progress: called with one line for each step that takes time.
        targets: only these; default all that have an extracts.toml.

    Raises:
        UpstreamError: an archive or an item is not what upstream.lock says.
    """
    manifest, lock = load_manifest(root), Lock.read(root)
    wanted = [manifest.get_target(n) for n in (targets or manifest.targets)]
    stale = [t for t in wanted if not _is_current(root, t, _hash_inputs(root, manifest, lock, t))]
    if not stale:
        return
    if lock.version != manifest.version:
        raise UpstreamError(
            f"{MANIFEST_NAME} says {manifest.version}, "
            f"{LOCK_NAME} says {lock.version or 'nothing'}",
            next=f"lar upstream pin --to {manifest.version}",
        )
    archives = Archives(root, manifest, offline=offline, progress=progress)
    cutter = Cutter(archives, lock)
    for target in stale:
        _compare_with_lock(target, cutter.list_items(target), lock)
        linked = read_linked_crates(archives, target.crates, lock)
        inputs = _hash_inputs(root, manifest, lock, target)
        write_extracts(root, target, cutter, inputs, linked)
        if progress:
            progress(f"extracted {target.name}")


class Cutter:
    """Cuts entries out of archives; parses each file once."""

    def __init__(self, archives: Archives, lock: Lock | None) -> None:
        self.archives = archives
        self.lock = lock
        self._parsed: dict[str, Slicer] = {}

    def get_slicer(self, entry: Entry) -> Slicer:
        """The parsed file of an entry.

        Raises:
            UpstreamError: the archive is not the pinned one, or has no such file.
        """
        if entry.source not in self._parsed:
            registry = self.archives.manifest.kind == "registry"
            expected = None
            if self.lock is not None and registry:
                expected = self.lock.archives.get(entry.crate)
                if expected is None:
                    raise UpstreamError(
                        "crate is not in upstream.lock", where=entry.crate, next="lar upstream pin"
                    )
            path = self.archives.ensure_directory(entry.crate, expected) / entry.file
            if not path.is_file():
                raise UpstreamError(
                    "no such file in the crate", where=entry.source, next="lar upstream drift"
                )
            self._parsed[entry.source] = Slicer(Source.read(entry.source, path))
        return self._parsed[entry.source]

    def list_items(self, target: TargetExtracts) -> dict[str, tuple[str, int]]:
        """item_key -> (sha256 of the verbatim bytes, line), for the lock."""
        found = {}
        for entry in target.entries:
            for spec in entry.items:
                piece = self.get_slicer(entry).cut_piece(spec)
                found[make_item_key(entry, spec)] = (hash_bytes(piece.text), piece.line)
        return found

    def cut_text(self, entry: Entry) -> bytes:
        """The generated text of an entry: cut, lifted, edited as declared."""
        text = self.get_slicer(entry).cut_items(entry.items, inline=entry.inline)
        for edit in entry.edits:
            count = text.count(edit.old.encode())
            if count != edit.count:
                raise UpstreamError(
                    f"declared edit {edit.old!r} occurs {count} times, not {edit.count}",
                    where=entry.source,
                    next=f"correct its count in {EXTRACTS}",
                )
            text = text.replace(edit.old.encode(), edit.new.encode())
        return text


def write_extracts(
    root: Path, target: TargetExtracts, cutter: Cutter, inputs: str,
    linked: Mapping[str, bytes] | None = None,
) -> None:  # fmt: skip
    """Generate every file of a target, then put the directory in place in one step.

    Args:
        linked: files of linked crates, by their path below the directory.
    """
    files: dict[str, bytes] = dict(linked or {})
    for entry in (*target.group("prelude"), *target.group("maker")):
        files[f"{entry.group}/{entry.output}"] = cutter.cut_text(entry)
    if target.group("kernel") or not target.entries:
        files["kernel.rs"] = join_first_kernel(
            [cutter.cut_text(e) for e in target.group("kernel")], _read_adapter(root, target.name)
        )
    final = ensure_lar_dir(root, "extracts") / target.name
    stamp = {"inputs": inputs, "files": {name: hash_bytes(data) for name, data in files.items()}}
    files["stamp.json"] = json.dumps(stamp, indent=1, sort_keys=True).encode()
    with hold_scratch(root, f"extracts-{target.name}") as fresh:
        for name, data in files.items():
            write_atomically(fresh / name, data)
        move_in(fresh, final, complete=lambda: _is_current(root, target, inputs))


def join_first_kernel(slices: Iterable[bytes], adapter: bytes) -> bytes:
    """Licence header once, `use prelude::*;`, the items, the adapter.

    The adapter's own leading comments stay with it. Imports follow the header for the reader;
    Rust requires no order here.
    """
    header: list[bytes] = []
    bodies: list[bytes] = []
    for text in slices:
        lines = text.split(b"\n")
        while lines and lines[0].startswith(b"// SPDX"):
            if lines[0] not in header:
                header.append(lines[0])
            lines.pop(0)
        bodies.append(b"\n".join(lines).strip(b"\n"))
    parts = [*header, b"", b"use prelude::*;", b"", *bodies, b"", _ADAPTER_RULE + adapter]
    return b"\n".join(parts)


def _read_adapter(root: Path, target: str) -> bytes:
    path = root / "targets" / target / "adapter.rs"
    return path.read_bytes() if path.is_file() else b""


def _hash_inputs(root: Path, manifest: Manifest, lock: Lock, target: TargetExtracts) -> str:
    """All that the generated files depend on; for a path source the sources themselves too."""
    parts = [
        manifest.version, manifest.kind, repr(manifest.path), repr(target),
        repr(sorted((e.crate, lock.archives.get(e.crate)) for e in target.entries)),
        repr([(c.name, lock.archives.get(c.name)) for c in target.crates]),
        repr(sorted(lock.items.get(target.name, {}).items())),
        hash_bytes(_read_adapter(root, target.name)),
        *(hash_bytes((Path(__file__).parent / n).read_bytes()) for n in CODE),
    ]  # fmt: skip
    if manifest.kind == "path":
        archives = Archives(root, manifest)
        for entry in target.entries:
            parts.append(
                hash_bytes((archives.ensure_directory(entry.crate, None) / entry.file).read_bytes())
            )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _is_current(root: Path, target: TargetExtracts, inputs: str) -> bool:
    directory = root / ".lar" / "extracts" / target.name
    try:
        stamp = json.loads((directory / "stamp.json").read_text())
        return bool(stamp["inputs"] == inputs) and all(
            hash_bytes((directory / name).read_bytes()) == digest
            for name, digest in stamp["files"].items()
        )
    except (OSError, ValueError, KeyError):
        return False


def _compare_with_lock(
    target: TargetExtracts, found: dict[str, tuple[str, int]], lock: Lock
) -> None:
    pinned = lock.items.get(target.name, {})
    new = [key for key in found if key not in pinned]
    changed = [key for key in found if key in pinned and pinned[key][0] != found[key][0]]
    if changed:
        raise UpstreamError(
            "items differ from upstream.lock: " + "; ".join(changed[:8]),
            where=target.name,
            next="lar upstream drift shows how; `lar upstream pin` accepts it",
        )
    if new:
        raise UpstreamError(
            "items are not in upstream.lock yet: " + "; ".join(new[:8]),
            where=target.name,
            next="lar upstream pin",
        )


def list_linked_names(root: Path, target: str) -> list[str]:
    """Names in Rust of the crates that a target links, in their order."""
    return [crate.rust_name for crate in load_manifest(root).get_target(target).crates]


def list_item_lines(root: Path, target: str) -> list[ItemLine]:
    """Every item of a target with its place and size."""
    manifest, lock = load_manifest(root), Lock.read(root)
    cutter = Cutter(Archives(root, manifest), lock)
    lines = []
    for entry in manifest.get_target(target).entries:
        for spec in entry.items:
            piece = cutter.get_slicer(entry).cut_piece(spec)
            size, digest = piece.text.count(b"\n"), hash_bytes(piece.text)
            lines.append(
                ItemLine(target, entry.group, entry.source, spec, piece.line, size, digest)
            )
    return lines


def pin_release(root: Path, to: str | None = None, *, progress: Progress | None = None) -> Lock:
    """Write upstream.lock for `to` (default: the manifest's version) and slice all targets.

    Moving to another version also rewrites the `version` line of upstream.toml; nothing is
    written unless every item of every target is found there.
    """
    old = load_manifest(root)
    manifest = replace(old, version=to) if to else old
    archives = Archives(root, manifest, progress=progress)
    cutter = Cutter(archives, None)
    items = {name: cutter.list_items(target) for name, target in manifest.targets.items()}
    for target in manifest.targets.values():
        for entry in target.entries:
            cutter.cut_text(entry)  # declared edits must fit as well
    crates = sorted({e.crate for t in manifest.targets.values() for e in t.entries})
    digests = {} if manifest.kind == "path" else {c: archives.find_digest(c) for c in crates}
    linked = {c.name: c for t in manifest.targets.values() for c in t.crates}
    digests |= {c.name: find_crate_digest(archives, c) for c in linked.values()}
    lock = Lock(manifest.version, digests, items)
    if manifest.version != old.version:
        path = root / MANIFEST_NAME
        text = path.read_text()
        changed = text.replace(f'version = "{old.version}"', f'version = "{to}"', 1)
        write_atomically(path, changed.encode())
    lock.write(root)
    fetch_upstream(root, progress=progress)
    return lock
