"""A Rust function as a target needs it: which parameters go in, which come out.

    pub fn hamming(x: &[u8], y: &[u8]) -> f32
        params   x: slice of u8, y: slice of u8
        outputs  one f32, the return value

    fn l2_to_cosine(distances: &mut [f32], anchor_norm: f64, candidate_norms: &[f64])
        params   distances: slice of f32 in and out, anchor_norm: f64, candidate_norms: ...
        outputs  distances

Only free functions over slices and scalars are supported; all else is refused with the
name of the parameter, since its contract needs a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lance_autoresearch.errors import UsageError

if TYPE_CHECKING:
    from tree_sitter import Node

    from lance_autoresearch.oracle.syntax import Source

SLICES = {
    "u8": "bytes", "u16": "u16s", "u32": "u32s", "u64": "u64s", "i8": "i8s", "i16": "i16s",
    "i32": "i32s", "i64": "i64s", "f32": "f32s", "f64": "f64s",
}  # fmt: skip
"""Element type -> accessor of `lar_shim::Call` for an input slice."""
OUTPUTS = {
    "u8": "out_bytes", "u16": "out_u16s", "u32": "out_u32s", "u64": "out_u64s",
    "i32": "out_i32s", "i64": "out_i64s", "f32": "out_f32s", "f64": "out_f64s",
}  # fmt: skip
"""Element type -> accessor for an output part."""
WIDTH = {t: int(t[1:]) // 8 for t in SLICES}
"""Bytes of one element."""
SCALARS = {**{t: t for t in SLICES}, "usize": "u64", "isize": "i64", "bool": "u8"}
"""Scalar type -> type it travels as."""
WRITTEN_ONLY = re.compile(r"(out|output|outputs|dst|dest|result|results)(_\w+)?|\w+_out")
"""Names by which Lance calls a slice that is only written; any other `&mut` is read too."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter."""

    name: str
    kind: str
    """`slice`, `scalar`, `out` (written), `inout` (read and written), `vec` (appended to)."""
    rust: str
    """Element type of a slice, type of a scalar."""

    @property
    def wire(self) -> str:
        """Type of the elements in the pool."""
        return SCALARS[self.rust]

    @property
    def is_input(self) -> bool:
        """True if the call carries data for it."""
        return self.kind in ("slice", "scalar", "inout")


@dataclass(frozen=True, slots=True)
class Signature:
    """A free function over slices and scalars."""

    name: str
    params: tuple[Param, ...]
    returns: str | None
    """Type of a returned scalar, element type of a returned Vec, or None."""
    returns_vec: bool

    @property
    def inputs(self) -> tuple[Param, ...]:
        """Parameters that the call carries data for, in order."""
        return tuple(p for p in self.params if p.is_input)

    @property
    def outputs(self) -> tuple[tuple[str, str], ...]:
        """(name, wire type) of every output part: mutable parameters, then the return value."""
        parts = [(p.name, p.rust) for p in self.params if p.kind in ("out", "inout", "vec")]
        if self.returns is not None:
            parts.append(("returned", SCALARS[self.returns]))
        return tuple(parts)


def parse_signature(source: Source, node: Node) -> Signature:
    """Read a `function_item`.

    Raises:
        UsageError: it is generic, unsafe or async, or a type has no mapping; all faults at once.
    """
    name = source.get_text(node.child_by_field_name("name"))
    where = f"{source.name}:{source.get_line(node)} {name}"
    faults = _list_modifiers(source, node)
    params = []
    listed = node.child_by_field_name("parameters")
    for child in listed.named_children if listed is not None else []:
        if child.type == "self_parameter":
            faults.append("is a method: wrap it in a free function in adapter.rs")
        elif child.type == "parameter":
            found = _parse_param(source, child, in_place="in_place" in name)
            faults += [found] if isinstance(found, str) else []
            params += [found] if isinstance(found, Param) else []
    returns, vec, fault = _parse_return(source, node)
    faults += [fault] if fault else []
    if not faults and not params:
        faults.append("takes nothing: there is nothing to measure")
    vecs = sum(p.kind == "vec" for p in params)
    if vecs > 1 or (vecs and returns is not None):
        faults.append("appends to a Vec and gives more besides: write contract.rs yourself")
    signature = Signature(name, tuple(params), returns, vec)
    if not faults and not signature.outputs:
        faults.append("returns nothing and changes nothing")
    if faults:
        raise UsageError(
            "you must write its contract yourself:\n    " + "\n    ".join(faults),
            where=where,
            next="CONTRIBUTING.md, A target that `lar new` cannot make",
        )
    return signature


def _list_modifiers(source: Source, node: Node) -> list[str]:
    words = " ".join(source.get_text(c) for c in node.children if c.type == "function_modifiers")
    faults = [f"is {w}: call it from a safe wrapper in adapter.rs" for w in ("unsafe", "async")
              if w in words.split()]  # fmt: skip
    generics = source.get_text(node.child_by_field_name("type_parameters"))
    if re.sub(r"[<>,\s]|'\w+", "", generics):
        faults.append(f"is generic over {generics}: adapter.rs must name one concrete type")
    return faults


def _parse_param(source: Source, node: Node, *, in_place: bool) -> Param | str:
    name = source.get_text(node.child_by_field_name("pattern")).removeprefix("mut ").strip()
    written = source.get_text(node.child_by_field_name("type"))
    text = _simplify_type(written)
    if match := re.fullmatch(r"&\[(\w+)\]", text):
        if match[1] in SLICES:
            return Param(name, "slice", match[1])
    elif match := re.fullmatch(r"&mut ?(?:\[(\w+)\]|Vec<(\w+)>)", text):
        element = match[1] or match[2]
        if element in OUTPUTS:
            only_out = WRITTEN_ONLY.fullmatch(name) and not in_place
            kind = "vec" if match[2] else "out" if only_out else "inout"
            return Param(name, kind, element)
    elif text in SCALARS:
        return Param(name, "scalar", text)
    return (
        f"parameter `{name}: {written}` has no mapping (known: &[T], &mut [T], &mut Vec<T>, T of "
        f"{', '.join(SLICES)}; usize, isize, bool)"
    )


def _parse_return(source: Source, node: Node) -> tuple[str | None, bool, str | None]:
    """(type, is it a Vec, fault)."""
    written = source.get_text(node.child_by_field_name("return_type"))
    text = _simplify_type(written)
    if text in ("", "()"):
        return None, False, None
    if (match := re.fullmatch(r"Vec<(\w+)>", text)) and match[1] in OUTPUTS:
        return match[1], True, None
    if text in SCALARS and SCALARS[text] in OUTPUTS:
        return text, False, None
    return None, False, f"returns `{written}`: write its parts as outputs in contract.rs"


def _simplify_type(text: str) -> str:
    """A type without lifetimes and surplus blanks."""
    text = re.sub(r"'\w+\s*", "", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"\s*([\[\]<>,])\s*", r"\1", text).replace("& ", "&")
