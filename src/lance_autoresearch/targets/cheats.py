"""Kernels that must be refused: those of a target's own domain, and attacks made for each op.

    for cheat in load_cheats(root, "hamming"):
        cheat.id           # "hamming/constant", or "_toy/late@blend" if made from a template
        cheat.text         # kernels.rs
        cheat.by           # "AE": letters of the defences that must stop it

A file of `targets/<name>/cheats/` is a whole kernel, or a template: it contains `surface! { ... }`
instead of an op. From a template one kernel is made for each op of the target, with the target's
first kernel as the honest code:

    surface! { BODY }    pub fn op(its parameters) -> its result { BODY }
    honest!()            the op's honest code, called with its arguments
    all_inputs!()        Vec<u8>: the bytes of all arguments that are `&[T]`
    timed!()             pattern: the sizes at which the op is timed, `256 | 1024`
    confirmed!()         pattern: the sizes at which it is confirmed
    bytes_of(slice)      &mut [u8]: the memory of a `&mut [T]`

The first line of a file names rows of the catalogue of threats and the defences that must stop
the cheat: `//! hack 36: ...; stopped by F`. A second line `//! only: OP ...` limits a template to
some ops. A line `//! begins with: TEXT` puts TEXT before everything else in the kernel, where
`\\n` is a line end and `\\u{feff}` a character.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch import oracle
from lance_autoresearch.errors import UsageError
from lance_autoresearch.oracle.syntax import Source
from lance_autoresearch.targets import catalogue

if TYPE_CHECKING:
    from tree_sitter import Node

    from lance_autoresearch.targets.spec import Target

FIRST_LINE = re.compile(
    r"//! hack (?P<rows>\d+(?: \d+)*): (?P<what>.+); stopped by (?P<by>[A-Z]( [A-Z])*)"
)
BEGINS = re.compile(r"^//! begins with: (?P<text>.+)\n", re.M)
ONLY = re.compile(r"^//! only: (?P<ops>[\w ]+)$", re.M)
SURFACE = re.compile(r"^surface! \{\n(?P<body>.*?)^\}\n", re.M | re.S)
HELPERS = """
#[allow(dead_code)]
fn bytes_of<T>(values: &mut [T]) -> &mut [u8] {
    // SAFETY: plain numbers, and any bytes are numbers.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

#[allow(dead_code)]
fn view<T>(values: &[T]) -> &[u8] {
    // SAFETY: plain numbers.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
"""


@dataclass(frozen=True, slots=True)
class Cheat:
    """A kernel that tries to be kept without being right and faster."""

    target: str
    stem: str
    """Name of its file."""
    op: str | None
    """The op that it attacks, if it was made from a template."""
    text: bytes
    rows: tuple[int, ...]
    """Rows of the catalogue of threats."""
    what: str
    by: str
    """Letters of the defences that must stop it, in the order of its first line."""

    @property
    def name(self) -> str:
        """`_toy/late`: one name for the kernels of all ops."""
        return f"{self.target}/{self.stem}"

    @property
    def id(self) -> str:
        """`_toy/late@blend`: one name for one kernel."""
        return self.name if self.op is None else f"{self.name}@{self.op}"


def load_cheats(root: Path, target: str) -> list[Cheat]:
    """Every cheat of a target, by file and op. Raises UsageError for a file it cannot read."""
    return [
        cheat
        for path in sorted((catalogue.find_target_dir(root, target) / "cheats").glob("*.rs"))
        for cheat in read_cheat(root, target, path)
    ]


def read_cheat(root: Path, target: str, path: Path) -> list[Cheat]:
    """The cheats of one file: one, or one for each op. Raises UsageError if it is malformed."""
    text = path.read_text(encoding="utf-8")
    head = FIRST_LINE.fullmatch(text.partition("\n")[0])
    if head is None:
        raise UsageError(
            "the first line must read `//! hack N: ...; stopped by X`",
            where=f"targets/{target}/cheats/{path.name}",
        )
    rows = tuple(int(n) for n in head["rows"].split())
    texts: Mapping[str | None, str] = {None: text}
    if "surface!" in text:
        texts = _expand_all(root, target, text)
    return [
        Cheat(target, path.stem, op, made.encode(), rows, head["what"], head["by"].replace(" ", ""))
        for op, made in texts.items()
    ]


def _expand_all(root: Path, target: str, template: str) -> dict[str | None, str]:
    loaded = catalogue.load_target(root, target)
    kernel = (oracle.ensure_extracts(root, target) / "kernel.rs").read_text(encoding="utf-8")
    only = ONLY.search(template)
    ops = only["ops"].split() if only else [op.name for op in loaded.ops]
    return {op: expand_template(template, kernel, loaded, op) for op in ops}


def expand_template(template: str, kernel: str, target: Target, op: str) -> str:
    """The kernel that a template makes for one op.

    Args:
        template: text of the file.
        kernel: the target's first kernel; its ops are the honest code.

    Raises:
        UsageError: the kernel has no such op, or the template not one `surface!` block.
    """
    source = Source("kernel.rs", kernel.encode())
    node = find_op(source, op)
    kinds = list_parameters(source, node)
    views = ", ".join(f"view({name})" for name, kind in kinds.items() if kind.startswith("&["))
    begins = BEGINS.search(template)
    template = BEGINS.sub("", template)
    blocks = SURFACE.findall(template)
    if len(blocks) != 1:
        raise UsageError(f"a template has one `surface! {{ ... }}` block, not {len(blocks)}")
    body = blocks[0]
    for word, meaning in {
        "honest!()": f"{op}_honest({', '.join(kinds)})",
        "all_inputs!()": f"[{views}].concat()",
        "timed!()": _render_sizes(target, op, confirm=False),
        "confirmed!()": _render_sizes(target, op, confirm=True),
    }.items():
        body = body.replace(word, meaning)
    params = source.get_text(node.child_by_field_name("parameters"))
    result = source.get_text(node.child_by_field_name("return_type")) or "()"
    surface = f"#[allow(unused)]\npub fn {op}{params} -> {result} {{\n{body}}}\n"
    lines = template.splitlines(keepends=True)
    head = "".join(line for line in lines if line.startswith("//!"))
    items = SURFACE.sub("", "".join(line for line in lines if not line.startswith("//!")))
    honest = kernel.replace(f"pub fn {op}(", f"fn {op}_honest(", 1)
    helpers = HELPERS if "bytes_of(" in body or "view(" in body else ""
    parts = (part.strip("\n") for part in (head, honest, helpers, items, surface))
    start = _unescape(begins["text"]) if begins else ""
    return start + "\n\n".join(part for part in parts if part) + "\n"


def _unescape(text: str) -> str:
    """`\\n` and `\\u{feff}` as characters."""
    text = text.replace("\\n", "\n")
    return re.sub(r"\\u\{([0-9a-f]{1,6})\}", lambda found: chr(int(found[1], 16)), text)


def find_op(source: Source, op: str) -> Node:
    """The function of a kernel's surface. Raises UsageError if there is none."""
    for node in source.root.named_children:
        if node.type == "function_item" and source.get_name(node) == op:
            return node
    raise UsageError(f"the first kernel has no `pub fn {op}`")


def list_parameters(source: Source, node: Node) -> dict[str, str]:
    """Name -> type of the parameters of a function, in order."""
    listed = node.child_by_field_name("parameters")
    return {
        source.get_text(p.child_by_field_name("pattern")): source.get_text(
            p.child_by_field_name("type")
        )
        for p in (listed.named_children if listed is not None else ())
        if p.type == "parameter"
    }


def _render_sizes(target: Target, op: str, *, confirm: bool) -> str:
    """Sizes of the op's timed combos, as a pattern; a size is the product of all dimensions."""
    shapes = [c.confirm if confirm else c.shape for c in target.timed if c.op == op]
    return " | ".join(str(math.prod(shape.values())) for shape in shapes if shape is not None)
