"""Reads `upstream.toml`: which release of Lance, and which items each target takes from it.

    version = "14.0.2"
    [source]
    kind = "registry"                        # or kind = "path", path = "../lance/rust"
    crates = ["lance-index", "lance-linalg"]
    [[targets.pq-l2.kernel]]                 # groups: prelude, kernel, maker
    crate = "lance-index"
    file = "src/vector/pq/distance.rs"
    items = ["compute_pq_distance"]          # specs, see slicer.py
    edits = [{ old = "a", new = "b", count = 1 }]    # optional, counted
    inline = true                                    # optional

Every fault is reported at once, with the nearest allowed value.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lance_autoresearch.errors import UpstreamError

GROUPS = ("prelude", "kernel", "maker")
NAME = "upstream.toml"


@dataclass(frozen=True, slots=True)
class Edit:
    """A declared change of the sliced text."""

    old: str
    new: str
    count: int
    """How often `old` must occur; anything else is an error."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Items of one source file."""

    group: str
    crate: str
    file: str
    """Path inside the crate, `src/...`."""
    items: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    inline: bool = False

    @property
    def source(self) -> str:
        """`lance-linalg/src/distance/l2.rs`: how messages name the file."""
        return f"{self.crate}/{self.file}"

    @property
    def output(self) -> str:
        """Path of the slice below its group: `lance-linalg/distance/l2.rs`."""
        return f"{self.crate}/{self.file.removeprefix('src/')}"


@dataclass(frozen=True, slots=True)
class TargetSlices:
    """What one target takes."""

    name: str
    entries: tuple[Entry, ...]

    def group(self, name: str) -> tuple[Entry, ...]:
        """Entries of `prelude`, `kernel` or `maker`, in file order."""
        return tuple(e for e in self.entries if e.group == name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of upstream.toml."""

    version: str
    kind: str
    """`registry` or `path`."""
    crates: tuple[str, ...]
    path: str | None = None
    """For kind `path`: directory below which the crates are found by their name."""
    targets: Mapping[str, TargetSlices] = field(default_factory=dict)

    def target(self, name: str) -> TargetSlices:
        """One target's slices; UpstreamError names the nearest."""
        if name not in self.targets:
            near = difflib.get_close_matches(name, self.targets, n=3, cutoff=0.3)
            raise UpstreamError(
                f"no target '{name}' in {NAME}",
                allowed=near or sorted(self.targets),
                next=f"add [[targets.{name}.kernel]] to {NAME}",
            )
        return self.targets[name]


def load_manifest(root: Path) -> Manifest:
    """Read and check `<root>/upstream.toml`.

    Raises:
        UpstreamError: missing, not TOML, or wrong; all faults at once.
    """
    path = root / NAME
    try:
        return parse_manifest(path.read_text())
    except FileNotFoundError:
        raise UpstreamError(f"{NAME} is missing", where=str(root)) from None


def parse_manifest(text: str) -> Manifest:
    """As `load_manifest`, from the text itself."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UpstreamError(f"not valid TOML: {error}", where=NAME) from None
    check = _Check()
    check.keys(table, {"version", "source", "targets"}, NAME)
    version = check.typed(table, "version", str, NAME, "")
    source = check.typed(table, "source", dict, NAME, {})
    check.keys(source, {"kind", "crates", "path"}, "[source]")
    kind = check.typed(source, "kind", str, "[source]", "registry")
    check.one_of(kind, ("registry", "path"), "[source] kind")
    crates = tuple(check.typed(source, "crates", list, "[source]", []))
    if kind == "path" and "path" not in source:
        check.fault("[source]: kind = 'path' needs path = 'DIRECTORY'")
    targets = {
        name: TargetSlices(name, check.entries(name, groups, crates))
        for name, groups in check.typed(table, "targets", dict, NAME, {}).items()
    }
    check.done()
    return Manifest(version, kind, crates, source.get("path"), targets)


class _Check:
    """Collects every fault so that they are reported together."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def fault(self, text: str) -> None:
        self.faults.append(text)

    def done(self) -> None:
        if self.faults:
            count = f"{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
            raise UpstreamError("\n    ".join([f"{count}:", *self.faults]), where=NAME)

    def keys(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        for key in table.keys() - known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
            self.fault(f"{where}: unknown key '{key}' ({hint})")

    def one_of(self, value: str, known: tuple[str, ...], where: str) -> None:
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1, cutoff=0.3)
            hint = f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(known)}"
            self.fault(f"{where}: '{value}' ({hint})")

    def typed(
        self, table: Mapping[str, Any], key: str, kind: type, where: str, default: Any
    ) -> Any:
        value = table.get(key)
        if value is None:
            self.fault(f"{where}: '{key}' is missing")
            return default
        if not isinstance(value, kind):
            self.fault(f"{where}: '{key}' must be a {kind.__name__}")
            return default
        return value

    def entries(self, target: str, groups: Any, crates: tuple[str, ...]) -> tuple[Entry, ...]:
        found: list[Entry] = []
        if not isinstance(groups, dict):
            self.fault(f"targets.{target}: must be a table of {', '.join(GROUPS)}")
            return ()
        self.keys(groups, set(GROUPS), f"targets.{target}")
        for group in GROUPS:
            for i, table in enumerate(groups.get(group, [])):
                where = f"[[targets.{target}.{group}]] #{i + 1}"
                found += self._entry(group, table, crates, where)
        outputs: dict[tuple[str, str], int] = {}
        for entry in found:
            if entry.group != "kernel":
                outputs[entry.group, entry.output] = outputs.get((entry.group, entry.output), 0) + 1
        for (group, output), count in outputs.items():
            if count > 1:
                self.fault(f"targets.{target}.{group}: {output} appears {count} times; merge them")
        return tuple(found)

    def _entry(
        self, group: str, table: Mapping[str, Any], crates: tuple[str, ...], where: str
    ) -> list[Entry]:
        self.keys(table, {"crate", "file", "items", "edits", "inline"}, where)
        crate = self.typed(table, "crate", str, where, "")
        file = self.typed(table, "file", str, where, "src/")
        items = self.typed(table, "items", list, where, [])
        if crate and crate not in crates:
            self.one_of(crate, crates, f"{where}: crate not in [source] crates")
        if not file.startswith("src/") or ".." in PurePosixPath(file).parts:
            self.fault(f"{where}: file '{file}' must be a path src/... inside the crate")
        if not items or not all(isinstance(i, str) and i for i in items):
            self.fault(f"{where}: 'items' must list at least one spec")
            return []
        for spec in {i for i in items if items.count(i) > 1}:
            self.fault(f"{where}: item '{spec}' is listed twice")
        edits = []
        for edit in table.get("edits", []):
            self.keys(edit, {"old", "new", "count"}, f"{where} edits")
            old = self.typed(edit, "old", str, f"{where} edits", "")
            new = self.typed(edit, "new", str, f"{where} edits", "")
            edits.append(Edit(old, new, self.typed(edit, "count", int, f"{where} edits", 0)))
        return [Entry(group, crate, file, tuple(items), tuple(edits), bool(table.get("inline")))]
