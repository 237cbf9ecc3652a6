"""A champion as source of Lance's own crates: what a pull request carries, and a spliced build.

    splice = load_splice(root, "hamming")             targets/hamming/integration/splice.toml
    files = splice.compose(kernel, read)               path in the crate -> its new text
    patch = write_patch(splice, old, files, layout)    a unified difference for `git apply`

The manifest holds lines of our own with their places: edits as those of a hook (`patches.Edit`),
removals, which say where lines of Lance go without naming them, and new files, made of the target's
kernel (items dropped, words replaced, each a stated number of times) or of a file beside the
manifest. Lance's text enters only when a patch is made. One patch fits the published crate, another
Lance's repository: `LAYOUTS` says where a crate lies in each.
"""

from __future__ import annotations

import difflib
import subprocess
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lance_autoresearch.errors import BuildFault, UpstreamError, UsageError
from lance_autoresearch.integrate.patches import (
    MAX_ANCHOR,
    Edit,
    apply_edits,
    find_line,
    parse_edit,
)
from lance_autoresearch.integrate.workspace import read_pins
from lance_autoresearch.oracle.syntax import KINDS, find_whole_span, load_parser

MANIFEST = "integration/splice.toml"
LAYOUTS = ("crates", "repository")
"""The published crates, one beside the other; Lance's repository."""


@dataclass(frozen=True, slots=True)
class Removal:
    """Lines of Lance that the change replaces: where they begin and end, and how many there are."""

    crate: str
    file: str
    anchor: str
    """Part of the first line."""
    last: str
    """Part of the last one."""
    lines: int
    count: int = 1
    """On how many lines `anchor` occurs."""
    which: int = 1
    """The line that is meant, from 1."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Words of the kernel that read otherwise in Lance."""

    old: str
    new: str
    count: int


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that the patch adds."""

    crate: str
    file: str
    source: str
    """`kernel`, or the name of a file beside the manifest."""
    drop: tuple[str, ...] = ()
    """Items of the kernel that Lance does not need, by path: `wide::here`."""
    rewrites: tuple[Rewrite, ...] = ()
    head: str = ""
    """Lines in front, and...  """
    tail: str = ""
    """...behind it."""


@dataclass(frozen=True, slots=True)
class Splice:
    """All that one target adds to Lance."""

    root: Path
    target: str
    edits: tuple[Edit, ...]
    removals: tuple[Removal, ...]
    """They go first: an edit's anchor is counted in what is left."""
    files: tuple[NewFile, ...]
    pull: Mapping[str, Any]
    """Title, summary, tests: what the text of a pull request says (table `pull`)."""

    @property
    def crates(self) -> tuple[str, ...]:
        """Crates that it changes."""
        names = [*(edit.crate for edit in self.edits), *(file.crate for file in self.files)]
        return tuple(dict.fromkeys([*names, *(gone.crate for gone in self.removals)]))

    @property
    def edited(self) -> tuple[tuple[str, str], ...]:
        """(crate, path) of the files of Lance that it changes."""
        changes: tuple[Edit | Removal, ...] = (*self.edits, *self.removals)
        return tuple(dict.fromkeys((one.crate, one.file) for one in changes))

    def compose(
        self, kernel: bytes, read: Callable[[str, str], str]
    ) -> dict[tuple[str, str], str]:
        """(crate, path) -> the new text of every file that changes.

        Args:
            read: the text of a file of Lance: crate, path.

        Raises:
            UpstreamError: Lance moved under an edit, or the kernel under a rewrite.
        """
        found: dict[tuple[str, str], str] = {}
        for place in self.edited:
            text = read(*place)
            for gone in self.removals:
                if (gone.crate, gone.file) == place:
                    text = remove_lines(text, gone, self.target)
            edits = [one for one in self.edits if (one.crate, one.file) == place]
            found[place] = apply_edits(text, edits)
        for file in self.files:
            found[file.crate, file.file] = _format_rust(self._make_file(file, kernel))
        return found

    def _make_file(self, file: NewFile, kernel: bytes) -> str:
        if file.source != "kernel":
            beside = self.root / "targets" / self.target / "integration" / file.source
            return file.head + beside.read_text(encoding="utf-8") + file.tail
        text = drop_items(kernel, file.drop, self.target).decode()
        for rewrite in file.rewrites:
            count = text.count(rewrite.old)
            if count != rewrite.count:
                raise UpstreamError(
                    f"'{rewrite.old}' occurs {count} times, expected {rewrite.count}: the champion "
                    "moved", where=f"targets/{self.target}/kernel/kernels.rs",
                    next=f"correct targets/{self.target}/{MANIFEST}",
                )  # fmt: skip
            text = text.replace(rewrite.old, rewrite.new)
        return file.head + text + file.tail


def find_folder(root: Path, layout: str, crate: str) -> str:
    """Where a crate lies in a layout; integrate/pins.toml names those not at `rust/<name>`."""
    if layout == "crates":
        return crate
    return str(read_pins(root)["repository"].get(crate, f"rust/{crate}"))


def load_splice(root: Path, target: str) -> Splice:
    """The manifest of a target.

    Raises:
        UsageError: the target has none.
        UpstreamError: it is faulty.
    """
    path = root / "targets" / target / MANIFEST
    where = f"targets/{target}/{MANIFEST}"
    if not path.is_file():
        have = sorted(p.parent.parent.name for p in root.glob(f"targets/*/{MANIFEST}"))
        raise UsageError(
            f"no champion of {target} can be put into Lance's source yet", where=where,
            next=f"write it; targets/{have[0]} has an example" if have else None,
        )  # fmt: skip
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        files = tuple(
            NewFile(
                one["crate"], one["file"], one["source"], tuple(one.get("drop", ())),
                tuple(Rewrite(r["old"], r["new"], r.get("count", 1))
                      for r in one.get("rewrite", ())),
                one.get("head", ""), one.get("tail", ""),
            )
            for one in table.get("file", [])
        )  # fmt: skip
        edits = tuple(parse_edit(target, i, one, where)
                      for i, one in enumerate(table.get("edit", []), 1))  # fmt: skip
        removals = tuple(Removal(**one) for one in table.get("remove", []))
        return Splice(root, target, edits, removals, files, table["pull"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UpstreamError(f"faulty: {error}", where=where) from None


def remove_lines(text: str, gone: Removal, target: str) -> str:
    """A text without the lines of a removal.

    Raises:
        UpstreamError: they are not where the manifest says, or it quotes more than a piece of one.
    """
    manifest = f"targets/{target}/{MANIFEST}"
    if max(len(gone.anchor), len(gone.last)) > MAX_ANCHOR or gone.lines < 1:
        raise UpstreamError(
            f"a removal names one line or more by pieces of at most {MAX_ANCHOR} characters",
            where=manifest,
        )
    if not 1 <= gone.which <= gone.count:
        raise UpstreamError(f"which = {gone.which} of {gone.count}", where=manifest)
    lines = text.splitlines(keepends=True)
    start = find_line(lines, gone, manifest)
    end = start + gone.lines
    if end > len(lines) or gone.last not in lines[end - 1]:
        raise UpstreamError(
            f"the line {gone.lines - 1} below '{gone.anchor}' has no '{gone.last}': Lance moved",
            where=f"{gone.crate}/{gone.file}", next=f"correct {manifest}",
        )  # fmt: skip
    return "".join([*lines[:start], *lines[end:]])


def drop_items(text: bytes, names: Sequence[str], target: str) -> bytes:
    """A Rust text without some items, their attributes and comments.

    Raises:
        UpstreamError: an item is not there.
    """
    spans: dict[str, tuple[int, int]] = {}
    left = [(load_parser().parse(text).root_node, "")]
    while left:
        node, path = left.pop()
        name = node.child_by_field_name("name")
        if node.type in KINDS and name is not None:
            path = f"{path}::{(name.text or b'').decode()}".removeprefix("::")
            spans.setdefault(path, find_whole_span(node, text))
        left += [(child, path) for child in node.named_children]
    gone = [name for name in names if name not in spans]
    if gone:
        raise UpstreamError(f"no item {', '.join(gone)}: the champion moved",
                            where=f"targets/{target}/kernel/kernels.rs")
    for start, end in sorted((spans[name] for name in names), reverse=True):
        text = text[:start] + text[end:]
    return text


def _format_rust(text: str) -> str:
    """As rustfmt writes it. Raises BuildFault if it is no Rust."""
    done = subprocess.run(
        ["rustfmt", "--edition", "2024", "--emit", "stdout"], input=text, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BuildFault(f"rustfmt: {done.stderr.strip()[:400]}", where="splice")
    return done.stdout


def write_patch(
    splice: Splice, read: Callable[[str, str], str], files: Mapping[tuple[str, str], str],
    layout: str,
) -> str:  # fmt: skip
    """A unified difference in git's form, old text against new, with paths of a layout."""
    edited = set(splice.edited)
    parts: list[str] = []
    for (crate, file), new in files.items():
        path = f"{find_folder(splice.root, layout, crate)}/{file}"
        known = (crate, file) in edited
        old = read(crate, file).splitlines(keepends=True) if known else []
        lines = difflib.unified_diff(
            old, new.splitlines(keepends=True), f"a/{path}" if known else "/dev/null", f"b/{path}"
        )
        mode = [] if known else ["new file mode 100644\n"]
        parts += [f"diff --git a/{path} b/{path}\n", *mode, *lines]
    return "".join(parts)
