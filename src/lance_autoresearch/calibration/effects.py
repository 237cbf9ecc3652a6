"""Kernels with an effect of known size: what a calibration injects. Text in, text out.

    insert_delays(text, {"hamming": [DelayRow((4096, 16, 32768, 2048), size=38912, steps=410.0)]})
    insert_probes(text, ["hamming"])   panics with each call's key: this yields the rows
    shuffle_functions(text, random.Random(7)) the same functions in another order
    rename_functions(text, {"hamming"}, random.Random(7))  ... under other names

Every op of the surface is wrapped: the original runs, then a chain of dependent multiplications
spins. How long depends on the call's *key*: lengths of its slices, values of its integers, sizes
of its containers; the row nearest to it counts, scaled by the size of the call. Fractions of a
step are dithered by the place of the call's data. A kernel with all steps 0 has the same code
as a delayed one, so the two differ in nothing but the delay (a table of constants).
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lance_autoresearch.errors import UsageError
from lance_autoresearch.oracle.syntax import load_parser

if TYPE_CHECKING:
    from tree_sitter import Node

PROBE = "lar-key"
"""How the message of a probed kernel's panic begins: key, then size, as numbers."""
_INTEGER = re.compile(r"[ui](8|16|32|64|size)")
_NAMED = re.compile(r"^&(mut )?(\w+::)*[A-Z]\w*")
"""A reference to a named type, which may be a container: the compiler knows (`LarLen`)."""

SPIN = """
struct LarRow<const K: usize> {
    key: [f32; K],
    inverse: [f32; K],
    steps: f32,
}

/// The length of a container; 0 for a type that has none. The method that needs one reference less
/// is taken where its trait holds, so an alias of a container counts as the container.
#[allow(dead_code)]
struct LarOf<T>(T);

#[allow(dead_code)]
trait LarLen {
    fn lar_len(&self) -> usize;
}

impl<T> LarLen for LarOf<&Vec<T>> {
    fn lar_len(&self) -> usize {
        self.0.len()
    }
}

impl<T> LarLen for LarOf<&std::collections::VecDeque<T>> {
    fn lar_len(&self) -> usize {
        self.0.len()
    }
}

impl<T> LarLen for LarOf<&std::collections::BinaryHeap<T>> {
    fn lar_len(&self) -> usize {
        self.0.len()
    }
}

impl LarLen for LarOf<&String> {
    fn lar_len(&self) -> usize {
        self.0.len()
    }
}

#[allow(dead_code)]
trait LarNoLen {
    fn lar_len(&self) -> usize {
        0
    }
}

impl<T> LarNoLen for &LarOf<T> {}

#[allow(dead_code)]
fn lar_falls(values: &[f32]) -> bool {
    let eighth = values.len() / 8;
    eighth > 0 && (1..8).all(|i| values[i * eighth] < values[(i - 1) * eighth])
}

#[inline(never)]
fn lar_steps<const K: usize>(rows: &[LarRow<K>], key: [usize; K], size: usize, at: usize) -> u64 {
    let (mut best, mut steps) = (f32::MAX, 0.0);
    for row in rows {
        let mut apart = 0.0;
        for i in 0..K {
            apart += ((key[i] as f32 - row.key[i]).abs() * row.inverse[i]).min(1.0);
        }
        if apart < best {
            (best, steps) = (apart, row.steps);
        }
    }
    let dither = ((at >> 6) as u32).wrapping_mul(0x9E37_79B9) >> 8;
    (steps * size as f32 + dither as f32 / 16_777_216.0) as u64
}

#[inline(never)]
fn lar_spin(steps: u64) {
    #[cfg(target_arch = "x86_64")]
    #[allow(unused_unsafe)]
    unsafe {
        core::arch::x86_64::_mm_lfence()
    };
    let mut x = core::hint::black_box(steps | 1);
    for _ in 0..steps {
        x = (x ^ (x >> 7)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    core::hint::black_box(x);
    #[cfg(target_arch = "x86_64")]
    #[allow(unused_unsafe)]
    unsafe {
        core::arch::x86_64::_mm_lfence()
    };
}
"""


@dataclass(frozen=True, slots=True)
class DelayRow:
    """How long to spin for the calls of one combo."""

    key: tuple[int, ...]
    """The key of a typical call of it, from a probed kernel."""
    size: int
    """Elements of all slices of that call."""
    steps: float
    """Steps for a call of exactly that size; others in proportion."""


@dataclass(frozen=True, slots=True)
class _Surface:
    """One `pub fn` of the surface, cut out of its file."""

    start: int
    name_start: int
    name_end: int
    params: str
    result: str
    names: tuple[str, ...]
    features: tuple[str, ...]
    slices: tuple[str, ...]


def insert_delays(text: bytes, table: Mapping[str, Sequence[DelayRow]]) -> bytes:
    """The kernel with every named op followed by its delay.

    Raises:
        UsageError: no such `pub fn`, or its parameters say nothing about a call's size.
    """
    return _wrap_ops(text, {op: _write_delay(op, rows) for op, rows in table.items()}, SPIN)


def insert_probes(text: bytes, ops: Sequence[str]) -> bytes:
    """The kernel with ops that panic with `lar-key [key] size` instead of running."""
    lines = (
        f'if !key.is_empty() {{ panic!("{PROBE} {{key:?}} {{size}}"); }}',
        "",
    )
    return _wrap_ops(text, dict.fromkeys(ops, lines), SPIN)


def parse_key(note: str) -> tuple[tuple[int, ...], int]:
    """(key, size) from the panic of a probed kernel. Raises ValueError for anything else."""
    found = re.search(PROBE + r" \[([\d, ]*)\] (\d+)", note)
    if found is None:
        raise ValueError(f"no key in {note!r}")
    return tuple(int(n) for n in found[1].split(",")), int(found[2])


def shuffle_functions(text: bytes, rng: random.Random) -> bytes:
    """The same program with its free functions in a random order.

    Only top-level `fn` items change places; with a `macro_rules!` in the file, those after the
    last one, since a macro must stand before its use.
    """
    root = load_parser().parse(text).root_node
    macros = [n.end_byte for n in root.children if n.type == "macro_definition"]
    spans = [s for s in _find_functions(root, text) if s[0] >= max(macros, default=0)]
    order = list(spans)
    rng.shuffle(order)
    out, at = [], 0
    for place, (start, end) in zip(spans, order, strict=True):
        out += [text[at : place[0]], text[start:end]]
        at = place[1]
    return b"".join([*out, text[at:]])


def rename_functions(text: bytes, keep: Collection[str], rng: random.Random) -> bytes:
    """The same program with its free functions under other names, of other lengths.

    Args:
        keep: names that others call.
    A name that also stands for a field, a method or a part of a format string stays.
    """
    nodes = list(_walk_nodes(load_parser().parse(text).root_node))
    free = [n for n in nodes if n.type == "function_item" and _is_at_top(n)]
    names = {_get_text(n.child_by_field_name("name")) for n in free} - set(keep)
    names -= {_get_text(n) for n in nodes if n.type.endswith("field_identifier")}
    names -= {_get_text(n.child_by_field_name("name")) for n in nodes if _is_elsewhere(n)}
    written = " ".join(_get_text(n) for n in nodes if n.type == "string_literal")
    new = {
        name: f"{name}_{rng.randrange(16 ** rng.randrange(1, 12)):x}"
        for name in sorted(names) if not re.search(rf"{{{name}\b", written)
    }  # fmt: skip
    out, at = [], 0
    for node in nodes:
        if node.type == "identifier" and _get_text(node) in new:
            out += [text[at : node.start_byte], new[_get_text(node)].encode()]
            at = node.end_byte
    return b"".join([*out, text[at:]])


def _walk_nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk_nodes(child)


def _is_at_top(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "source_file"


def _is_elsewhere(node: Node) -> bool:
    """A method, or a path into something else than this file: `Vec::new`."""
    if node.type in ("function_item", "function_signature_item"):
        return not _is_at_top(node)
    return node.type == "scoped_identifier" and _get_text(node.child_by_field_name("path")) not in (
        "self", "crate",
    )  # fmt: skip


def _find_functions(root: Node, text: bytes) -> list[tuple[int, int]]:
    """Byte spans of top-level functions with their attributes and outer comments."""
    spans, lead = [], None
    for node in root.children:
        if node.type in ("attribute_item", "line_comment", "block_comment"):
            lead = node.start_byte if lead is None else lead
        elif node.type == "function_item":
            spans.append((node.start_byte if lead is None else lead, node.end_byte))
            lead = None
        else:
            lead = None
    return spans


def _write_delay(op: str, rows: Sequence[DelayRow]) -> tuple[str, str]:
    """Statements before and after one op."""
    made = ",\n        ".join(_render_row(row) for row in rows)
    width = len(rows[0].key)
    before = f"""
    const ROWS: [LarRow<{width}>; {len(rows)}] = [
        {made}
    ];
    let steps = lar_steps(core::hint::black_box(&ROWS), key, size, at);"""
    return before, "lar_spin(steps);"


def _render_row(row: DelayRow) -> str:
    key = ", ".join(f"{v}.0" for v in row.key)
    inverse = ", ".join(f"{1 / max(1, v):.9f}" for v in row.key)
    return f"LarRow {{ key: [{key}], inverse: [{inverse}], steps: {row.steps / row.size:.12f} }}"


def _wrap_ops(text: bytes, lines: Mapping[str, tuple[str, str]], tail: str) -> bytes:
    wrappers = []
    for op, (before, after) in lines.items():
        surface = _find_surface(text, op)
        inner = f"{op}_undelayed"
        key = ", ".join(surface.features)
        size = " + ".join(f"{name}.len()" for name in surface.slices)
        wrappers.append(f"""
#[inline(never)]
pub fn {op}{surface.params} {surface.result} {{
    let key = [{key}];
    let (size, at) = ({size}, {surface.slices[0]}.as_ptr() as usize);
    let _ = (size, at);
    {before}
    let given = {inner}({", ".join(surface.names)});
    {after}
    given
}}
""")
        text = b"".join(
            [
                text[: surface.start], b"fn ", inner.encode(), text[surface.name_end :],
            ]
        )  # fmt: skip
    return text + (tail + "".join(wrappers)).encode()


def _find_surface(text: bytes, op: str) -> _Surface:
    root = load_parser().parse(text).root_node
    for node in root.children:
        name = node.child_by_field_name("name")
        if node.type == "function_item" and name is not None and name.text == op.encode():
            return _describe_surface(node, op)
    raise UsageError(f"cannot find `pub fn {op}(...)` at the top level", where="kernels.rs")


def _describe_surface(node: Node, op: str) -> _Surface:
    name, params = node.child_by_field_name("name"), node.child_by_field_name("parameters")
    result = node.child_by_field_name("return_type")
    assert name is not None and params is not None
    names, features, slices = [], [], []
    for param in params.named_children:
        if param.type != "parameter":
            continue
        pattern, kind = (_get_text(param.child_by_field_name(f)) for f in ("pattern", "type"))
        names.append(pattern.removeprefix("mut "))
        found = _list_features(names[-1], kind)
        features += found
        if found and "[" in kind:
            slices.append(names[-1])
    if not slices:
        raise UsageError(f"`{op}` takes no slice: nothing says how big a call is", where=op)
    return _Surface(
        node.start_byte, name.start_byte, name.end_byte, _get_text(params),
        "" if result is None else f"-> {_get_text(result)}",
        tuple(names), tuple(features), tuple(slices),
    )  # fmt: skip


def _list_features(name: str, kind: str) -> list[str]:
    """Rust expressions of type usize that tell one combo's calls from another's."""
    plain = re.sub(r"'\w+ ", "", kind)
    if re.match(r"&(mut )?\[", plain):
        falls = [f"lar_falls({name}) as usize"] if plain == "&[f32]" else []
        return [f"{name}.len()", *falls]
    if _INTEGER.fullmatch(plain):
        return [f"{name} as usize"]
    if plain.startswith("Option<"):
        return [f"{name}.is_some() as usize"]
    return [f"(&LarOf(&*{name})).lar_len()"] if _NAMED.match(plain) else []


def _get_text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode()
