"""The hooks of every target: where lines of our own go into copies of Lance's crates.

    edits = load_edits(root)                        every targets/*/integration/patch.toml
    patched = apply_edits(text, edits_of_one_file)  UpstreamError if an anchor moved

No text of Lance is stored here: an edit names a file and an anchor, one short piece of a line with
the number of times it occurs, and holds only what is put before or after that line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from lance_autoresearch.errors import UpstreamError

MANIFEST = "integration/patch.toml"
MAX_ANCHOR = 72
"""Longest anchor, characters: enough to be unique, too short to be a copy of Lance's source."""
_TYPES = {"crate": str, "file": str, "anchor": str, "count": int, "which": int,
          "before": str, "after": str}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines that are put before or after one line of one file."""

    target: str
    crate: str
    file: str
    """Path inside the crate, `src/...`."""
    anchor: str
    """Part of one line."""
    count: int
    """On how many lines it occurs; anything else is an error."""
    which: int
    """The line that is meant, from 1."""
    before: str
    after: str


class Anchored(Protocol):
    """What says by a piece of a line where in Lance it belongs."""

    @property
    def crate(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def anchor(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def which(self) -> int: ...


def load_edits(root: Path, target: str | None = None) -> tuple[Edit, ...]:
    """The edits of one target or of all that have any, in order. UpstreamError for a fault."""
    found: list[Edit] = []
    for path in sorted((root / "targets").glob(f"{target or '*'}/{MANIFEST}")):
        name = path.parent.parent.name
        try:
            table = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise UpstreamError(f"not valid TOML: {error}", where=_name_manifest(name)) from None
        where = _name_manifest(name)
        found += [parse_edit(name, i, one, where) for i, one in enumerate(table.get("edit", []), 1)]
    return tuple(found)


def _name_manifest(target: str) -> str:
    return f"targets/{target}/{MANIFEST}"


def parse_edit(target: str, number: int, table: dict[str, Any], manifest: str) -> Edit:
    """One edit of a manifest. UpstreamError for a fault."""
    where = f"{manifest} edit {number}"
    values = {"which": 1, "before": "", "after": "", **table}
    unknown = values.keys() - _TYPES.keys()
    wrong = [key for key, kind in _TYPES.items() if not isinstance(values.get(key), kind)]
    if unknown or wrong:
        raise UpstreamError(
            f"wrong or missing keys: {', '.join(sorted([*unknown, *wrong]))}",
            where=where, allowed=list(_TYPES),
        )  # fmt: skip
    edit = Edit(target, **values)
    if not edit.file.startswith("src/") or ".." in PurePosixPath(edit.file).parts:
        raise UpstreamError(f"file '{edit.file}' is not inside the crate's src/", where=where)
    if not edit.anchor.strip() or "\n" in edit.anchor or len(edit.anchor) > MAX_ANCHOR:
        raise UpstreamError(
            f"an anchor is part of one line, at most {MAX_ANCHOR} characters", where=where
        )
    if not 1 <= edit.which <= edit.count:
        raise UpstreamError(f"which = {edit.which} of {edit.count}", where=where)
    if not edit.before and not edit.after:
        raise UpstreamError("inserts nothing", where=where)
    return edit


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text of one file with the lines of its edits. UpstreamError if an anchor moved."""
    lines = text.splitlines(keepends=True)
    before: dict[int, str] = {}
    after: dict[int, str] = {}
    for edit in edits:
        place = find_line(lines, edit, _name_manifest(edit.target))
        before[place] = before.get(place, "") + _end_line(edit.before)
        after[place] = _end_line(edit.after) + after.get(place, "")
    return "".join(
        before.get(i, "") + line + after.get(i, "") for i, line in enumerate(lines)
    )


def find_line(lines: Sequence[str], one: Anchored, manifest: str) -> int:
    """Index of the line that is meant. UpstreamError if the anchor moved."""
    found = [i for i, line in enumerate(lines) if one.anchor in line]
    if len(found) != one.count:
        raise UpstreamError(
            f"'{one.anchor}' occurs {len(found)} times, expected {one.count}: Lance moved",
            where=f"{one.crate}/{one.file}",
            next=f"correct {manifest}",
        )
    return found[one.which - 1]


def _end_line(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
