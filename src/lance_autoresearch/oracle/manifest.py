"""Reads which release of Lance is the oracle, and which items each target extracts from it.

    upstream.toml                            one for the checkout
        version = "14.0.2"
        [source]
        kind = "registry"                    # or kind = "path", path = "../lance/rust"
        crates = ["lance-index", "lance-linalg"]

    targets/<name>/extracts.toml             one for each target
        [[kernel]]                           # groups: prelude, kernel, maker
        crate = "lance-index"
        file = "src/vector/pq/distance.rs"
        items = ["compute_pq_distance"]      # specs, see slicer.py
        edits = [{ old = "a", new = "b", count = 1 }]    # optional, counted
        inline = true                                    # optional
        [[crate]]                            # a whole crate that the items above call
        name = "roaring"                     # each sees those that are listed before it
        version = "0.11.4"                   # exactly
        features = ["std"]

A target whose extracts.toml is empty takes nothing from Lance: its adapter.rs is the oracle.
All faults of all files are reported at once, each with the nearest allowed value.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from lance_autoresearch.errors import UpstreamError

GROUPS = ("prelude", "kernel", "maker")
CRATE = "crate"
NAME = "upstream.toml"
EXTRACTS = "extracts.toml"
_NAME = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.+-]*", re.ASCII)


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
class LinkedCrate:
    """A crate of another project that Lance's items call: compiled whole, linked to both sides."""

    name: str
    version: str
    """Exactly this one: what Lance's own lock file names."""
    features: tuple[str, ...] = ()

    @property
    def rust_name(self) -> str:
        """Its name in Rust sources."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class TargetExtracts:
    """The items that one target takes from Lance; empty if it has its own oracle."""

    name: str
    entries: tuple[Entry, ...]
    crates: tuple[LinkedCrate, ...] = ()
    """In the order in which they compile."""

    def group(self, name: str) -> tuple[Entry, ...]:
        """Entries of `prelude`, `kernel` or `maker`, in file order."""
        return tuple(e for e in self.entries if e.group == name)


@dataclass(frozen=True, slots=True)
class Manifest:
    """upstream.toml and the extracts.toml of every target."""

    version: str
    kind: str
    """`registry` or `path`."""
    crates: tuple[str, ...]
    path: str | None = None
    """For kind `path`: directory below which the crates are found by their name."""
    targets: Mapping[str, TargetExtracts] = field(default_factory=dict)

    def get_target(self, name: str) -> TargetExtracts:
        """One target's extracts; UpstreamError names the nearest target that has a list."""
        if name not in self.targets:
            near = difflib.get_close_matches(name, self.targets, n=3, cutoff=0.3)
            raise UpstreamError(
                f"no target '{name}' with a list of extracts",
                allowed=near or sorted(self.targets),
                next=f"write {name_extracts_file(name)}",
            )
        return self.targets[name]


def name_extracts_file(target: str) -> str:
    """`targets/<name>/extracts.toml`, relative to the checkout."""
    return f"targets/{target}/{EXTRACTS}"


def load_manifest(root: Path) -> Manifest:
    """Read and check `<root>/upstream.toml` and every `<root>/targets/*/extracts.toml`.

    Raises:
        UpstreamError: missing, not TOML, or wrong; all faults at once.
    """
    lists = sorted((root / "targets").glob(f"*/{EXTRACTS}"))
    try:
        text = (root / NAME).read_text()
    except FileNotFoundError:
        raise UpstreamError(f"{NAME} is missing", where=str(root)) from None
    return parse_manifest(text, {path.parent.name: path.read_text() for path in lists})


def parse_manifest(text: str, extracts: Mapping[str, str] | None = None) -> Manifest:
    """As `load_manifest`, from the texts themselves: upstream.toml, target -> extracts.toml."""
    check = _Check()
    table = check.parse_toml(text, NAME)
    check.check_keys(table, {"version", "source"}, NAME)
    version = check.read_typed(table, "version", str, NAME, "")
    source = check.read_typed(table, "source", dict, NAME, {})
    check.check_keys(source, {"kind", "crates", "path"}, "[source]")
    kind = check.read_typed(source, "kind", str, "[source]", "registry")
    check.check_choice(kind, ("registry", "path"), "[source] kind")
    crates = tuple(check.read_typed(source, "crates", list, "[source]", []))
    if kind == "path" and "path" not in source:
        check.add_fault("[source]: kind = 'path' needs path = 'DIRECTORY'")
    targets = {
        name: TargetExtracts(name, *check.read_lists(name, listed, crates))
        for name, listed in (extracts or {}).items()
    }
    check.check_versions(crate for target in targets.values() for crate in target.crates)
    check.finish()
    return Manifest(version, kind, crates, source.get("path"), targets)


class _Check:
    """Collects every fault so that they are reported together."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def add_fault(self, text: str) -> None:
        self.faults.append(text)

    def finish(self) -> None:
        """Raise UpstreamError if anything was wrong."""
        if self.faults:
            count = f"{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
            raise UpstreamError("\n    ".join([f"{count}:", *self.faults]), where=NAME)

    def parse_toml(self, text: str, where: str) -> dict[str, Any]:
        """The table of a TOML file; an empty one, and a fault, if it is not TOML."""
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            self.add_fault(f"{where}: not valid TOML: {error}")
            return {}

    def check_keys(self, table: Mapping[str, Any], known: set[str], where: str) -> None:
        for key in table.keys() - known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
            self.add_fault(f"{where}: unknown key '{key}' ({hint})")

    def check_choice(self, value: str, known: tuple[str, ...], where: str) -> None:
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1, cutoff=0.3)
            hint = f"did you mean '{near[0]}'?" if near else f"allowed: {', '.join(known)}"
            self.add_fault(f"{where}: '{value}' ({hint})")

    def read_typed(
        self, table: Mapping[str, Any], key: str, kind: type, where: str, default: Any
    ) -> Any:
        value = table.get(key)
        if value is None:
            self.add_fault(f"{where}: '{key}' is missing")
            return default
        if not isinstance(value, kind):
            self.add_fault(f"{where}: '{key}' must be a {kind.__name__}")
            return default
        return value

    def read_lists(
        self, target: str, text: str, crates: tuple[str, ...]
    ) -> tuple[tuple[Entry, ...], tuple[LinkedCrate, ...]]:
        """Entries of one extracts.toml, in the order prelude, kernel, maker, and linked crates."""
        path, found = name_extracts_file(target), []
        groups = self.parse_toml(text, path)
        self.check_keys(groups, {*GROUPS, CRATE}, path)
        for group in GROUPS:
            for i, table in enumerate(self._list_tables(groups, group, path)):
                found += self._read_entry(group, table, crates, f"{path} [[{group}]] #{i + 1}")
        outputs = Counter((e.group, e.output) for e in found if e.group != "kernel")
        for (group, output), count in outputs.items():
            if count > 1:
                self.add_fault(f"{path} {group}: {output} appears {count} times; merge them")
        linked = [
            self._read_crate(table, f"{path} [[{CRATE}]] #{i + 1}")
            for i, table in enumerate(self._list_tables(groups, CRATE, path))
        ]
        return tuple(found), tuple(linked)

    def check_versions(self, linked: Iterable[LinkedCrate]) -> None:
        """A crate has one version in all targets: upstream.lock has one digest for it."""
        known: dict[str, str] = {}
        for crate in linked:
            if known.setdefault(crate.name, crate.version) != crate.version:
                self.add_fault(
                    f"crate {crate.name}: versions {known[crate.name]} and {crate.version}"
                )

    def _list_tables(self, groups: Mapping[str, Any], key: str, path: str) -> list[dict[str, Any]]:
        tables = groups.get(key, [])
        if isinstance(tables, list) and all(isinstance(one, dict) for one in tables):
            return tables
        self.add_fault(f"{path}: '{key}' must be written as [[{key}]]")
        return []

    def _read_crate(self, table: Mapping[str, Any], where: str) -> LinkedCrate:
        self.check_keys(table, {"name", "version", "features"}, where)
        name = self.read_typed(table, "name", str, where, "")
        version = self.read_typed(table, "version", str, where, "")
        if name and not _NAME.fullmatch(name):
            self.add_fault(f"{where}: '{name}' is no name of a crate")
        if version and not _VERSION.fullmatch(version):
            self.add_fault(f"{where}: version '{version}' is not like 1.2.3")
        features = table.get("features", [])
        if not isinstance(features, list) or not all(isinstance(one, str) for one in features):
            self.add_fault(f"{where}: 'features' must list names")
            features = []
        return LinkedCrate(name, version, tuple(features))

    def _read_entry(
        self, group: str, table: Mapping[str, Any], crates: tuple[str, ...], where: str
    ) -> list[Entry]:
        self.check_keys(table, {"crate", "file", "items", "edits", "inline"}, where)
        crate = self.read_typed(table, "crate", str, where, "")
        file = self.read_typed(table, "file", str, where, "src/")
        items = self.read_typed(table, "items", list, where, [])
        if crate and crate not in crates:
            self.check_choice(crate, crates, f"{where}: crate not in [source] crates")
        if not file.startswith("src/") or ".." in PurePosixPath(file).parts:
            self.add_fault(f"{where}: file '{file}' must be a path src/... inside the crate")
        if not items or not all(isinstance(i, str) and i for i in items):
            self.add_fault(f"{where}: 'items' must list at least one spec")
            return []
        for spec in {i for i in items if items.count(i) > 1}:
            self.add_fault(f"{where}: item '{spec}' is listed twice")
        edits = []
        for edit in table.get("edits", []):
            self.check_keys(edit, {"old", "new", "count"}, f"{where} edits")
            old = self.read_typed(edit, "old", str, f"{where} edits", "")
            new = self.read_typed(edit, "new", str, f"{where} edits", "")
            edits.append(Edit(old, new, self.read_typed(edit, "count", int, f"{where} edits", 0)))
        return [Entry(group, crate, file, tuple(items), tuple(edits), bool(table.get("inline")))]
