"""Calls of an op as its kernel sees them: how long each parameter is, and some of its values.

    surface = read_surface(kernel, root, target, "scan8")
    views = surface.look(call)      [{"codes": Piece(length=4096, head=(17, 3, ...), ...), ...}]

A `Call` of a target holds the arguments of its contract. Most contracts hand them to the op in
their order. Where a contract does more (it cuts rows into partitions and calls the op for each),
`targets/NAME/cheats/red.toml` says which argument a parameter is; one call then has several views.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lance_autoresearch.oracle.syntax import Source
from lance_autoresearch.targets.catalogue import find_target_dir
from lance_autoresearch.targets.cheats import find_op, list_parameters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lance_autoresearch.targets.spec import Call

HEAD = 8
"""Elements at the front of a parameter that a view keeps."""
INTEGER = re.compile(r"[ui](8|16|32|64|size)")
SLICE = re.compile(r"&\[(\w+)\]")
OUTPUT = re.compile(r"&mut \[(MaybeUninit<\w+>|\w+)\]")
OPTION = re.compile(r"Option<\w+>")


@dataclass(frozen=True, slots=True)
class Piece:
    """One argument, small enough to keep thousands of: bit patterns as unsigned integers."""

    length: int
    head: tuple[int, ...] = ()
    middle: int = 0
    last: int = 0


View = Mapping[str, Piece]
"""One call of an op: parameter -> piece. An integer is a piece of one element."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One op: its parameters, and where a call has them."""

    target: str
    op: str
    params: Mapping[str, str]
    """Name -> type, in order."""
    result: str
    arguments: Mapping[str, int]
    """Parameter -> argument of the call; a parameter that is missing cannot be seen in a call."""
    parts: int | None = None
    """The argument that holds the ends of the parts: the op is called once for each of them, with
    all parameters in `cut` cut there."""
    cut: tuple[str, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    """Effects of this op's own: name -> statements after the honest code; `given` is its result."""

    @property
    def slices(self) -> dict[str, str]:
        """Parameters that are slices which are read: name -> element type."""
        found = {name: SLICE.fullmatch(kind) for name, kind in self.params.items()}
        return {name: m[1] for name, m in found.items() if m and name in self.arguments}

    @property
    def integers(self) -> list[str]:
        """Parameters that are integers."""
        return [n for n, k in self.params.items() if INTEGER.fullmatch(k) and n in self.arguments]

    @property
    def outputs(self) -> dict[str, str]:
        """Parameters that are slices which are written: name -> element type."""
        found = {name: OUTPUT.fullmatch(kind) for name, kind in self.params.items()}
        return {name: m[1] for name, m in found.items() if m}

    @property
    def states(self) -> list[str]:
        """Parameters of a named type that the op changes: a heap, a mask."""
        return [n for n, k in self.params.items() if re.match(r"&mut [A-Z]", k)]

    def look(self, call: Call) -> list[View]:
        """The views of one call; several if the contract calls the op for each part."""
        arrays = {name: call.args[at] for name, at in self.arguments.items()}
        if self.parts is None:
            return [{name: make_piece(array) for name, array in arrays.items()}]
        whole = {n: make_piece(a) for n, a in arrays.items() if n not in self.cut}
        views, start = [], 0
        for end in map(int, call.args[self.parts]):
            cut = {name: make_piece(arrays[name][start:end]) for name in self.cut}
            views.append({**whole, **cut})
            start = end
        return views


def make_piece(array: NDArray[Any]) -> Piece:
    """The piece of one array."""
    n = len(array)
    if n == 0:
        return Piece(0)
    bits = array.view(f"u{array.itemsize}")
    head = tuple(int(x) for x in bits[:HEAD])
    return Piece(n, head, int(bits[n // 2]), int(bits[n - 1]))


def read_surface(kernel: bytes, root: Path, target: str, op: str) -> Surface:
    """The op as a kernel's text declares it.

    Raises:
        UsageError: the kernel has no such `pub fn`.
    """
    source = Source("kernels.rs", kernel)
    node = find_op(source, op)
    params = list_parameters(source, node)
    result = source.get_text(node.child_by_field_name("return_type"))
    own = _read_own(root, target).get(op, {})
    named = own.get("arguments")
    return Surface(
        target, op, params, result,
        arguments=_match_in_order(params) if named is None else named,
        parts=own.get("parts"),
        cut=tuple(own.get("cut", ())),
        wrong=own.get("wrong", {}),
    )  # fmt: skip


def _match_in_order(params: Mapping[str, str]) -> dict[str, int]:
    """Slices that are read, integers and options, in the order of the contract's arguments."""
    read = [n for n, k in params.items() if any(p.fullmatch(k) for p in (SLICE, INTEGER, OPTION))]
    return {name: at for at, name in enumerate(read)}


def _read_own(root: Path, target: str) -> dict[str, Any]:
    path = find_target_dir(root, target) / "cheats" / "red.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
