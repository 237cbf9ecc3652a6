"""Cuts items out of Rust sources, byte for byte.

    cut = Slicer(Source.read("lance-linalg/src/distance/l2.rs", path))
    cut.cut_items(["l2", "impl L2 for f32", "x86::l2_f32_avx512"])  # bytes, in source order

A spec is one or more segments joined by `::`.

    *                      the whole file, without tests, inner docs, `mod x;` lines
    name                   an item of that name (every cfg twin), or a macro call that defines it
    fn name, struct name   the same if one name stands for two things (also enum, union,
                           trait, const, static, type, mod, macro)
    name!                  a macro_rules definition and its calls at item position
    impl Type              every impl block of the type
    impl Trait for Type    one trait impl; `<Type as Trait>` is the same
    use, use path          the `use` lines, or those that start with `path`
    Type::method           a method, inside its impl header; outer::inner reaches a nested fn;
                           module::item comes out inside its module

Bytes are verbatim except for declared changes: tests are dropped, visibility is lifted to
`pub` (private helpers must be reachable from the kernel's crate), `inline=True` adds
`#[inline]` to functions that have no such attribute and no type parameters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.oracle.syntax import KINDS, Source

if TYPE_CHECKING:
    from tree_sitter import Node

_SEGMENT = re.compile(r"<[^>]+ as .+?>(?=::|$)|use [\w:]+|(?:impl .+? for )?(?:[^:]|(?<!:):(?!:))+")
_SCOPES = ("mod_item", "impl_item", "trait_item", "function_item")


@dataclass(frozen=True, slots=True)
class SelectedItem:
    """One selected item and the modules and impls around it, outermost first."""

    node: Node
    owners: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes that one spec selects: for the lock file and for drift."""

    spec: str
    line: int
    text: bytes
    """Without lifting, inlining or declared edits: changes only if upstream does."""


class Slicer:
    """Cuts one file."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def cut_items(self, specs: Iterable[str], *, lift: bool = True, inline: bool = False) -> bytes:
        """The file's licence header and the selected items in source order.

        Raises:
            UpstreamError: a spec matches nothing (with the nearest names) or is ambiguous.
        """
        change = _Changes(self.source, lift=lift, inline=inline)
        chosen: dict[tuple[int, int], SelectedItem] = {}
        for spec in specs:
            for found in self.find_items(spec):
                chosen[(found.node.start_byte, found.node.end_byte)] = found
        whole = [f for f in chosen.values() if f.node.type == "source_file"]
        if whole:
            return self.read_header() + change.emit_item(whole[0].node).strip(b"\n") + b"\n"
        return self.read_header() + self._emit_nested(sorted(chosen.items()), change)

    def cut_piece(self, spec: str) -> Piece:
        """The verbatim text of one spec and where it begins."""
        found = self.find_items(spec)
        verbatim = _Changes(self.source, lift=False, inline=False)
        spans = [((f.node.start_byte, f.node.end_byte), f) for f in found]
        if found[0].node.type == "source_file":
            return Piece(spec, 1, verbatim.emit_item(found[0].node))
        return Piece(
            spec, self.source.get_line(found[0].node), self._emit_nested(spans, verbatim, False)
        )

    def read_header(self) -> bytes:
        """The comment lines a file opens with: its SPDX licence header."""
        lines: list[bytes] = []
        for line in self.source.raw.splitlines():
            if not line.startswith(b"//") or line.startswith((b"//!", b"///")):
                break
            lines.append(line)
        return b"\n".join([*lines, b""]) if lines else b""

    def _emit_nested(
        self,
        chosen: list[tuple[tuple[int, int], SelectedItem]],
        change: _Changes,
        notes: bool = True,
    ) -> bytes:
        """Items inside the headers of their modules and impls; neighbours share a header."""
        out: list[bytes] = []
        open_: tuple[Node, ...] = ()
        last_end = -1
        for (_, end), found in chosen:
            if end <= last_end:
                continue  # already part of a larger item
            last_end = end
            shared = 0
            while (
                shared < min(len(open_), len(found.owners))
                and open_[shared].id == found.owners[shared].id
            ):
                shared += 1
            out += [b"}"] * (len(open_) - shared)
            out += [change.emit_opening(owner) for owner in found.owners[shared:]]
            open_ = found.owners
            if notes:
                out.append(f"// {self.source.name}:{self.source.get_line(found.node)}".encode())
            out.append(change.emit_item(found.node))
        out += [b"}"] * len(open_)
        return b"\n".join(out) + b"\n"

    def find_items(self, spec: str) -> list[SelectedItem]:
        """Items a spec selects, in source order.

        Raises:
            UpstreamError: none, or several if one was meant.
        """
        if spec == "*":
            return [SelectedItem(self.source.root, ())]
        scopes = [SelectedItem(self.source.root, ())]
        segments = [s.strip() for s in _SEGMENT.findall(spec)]
        if not all(segments) or not segments:
            raise self._make_missing_error(spec, spec)
        for depth, segment in enumerate(segments):
            final = depth + 1 == len(segments)
            hits: list[SelectedItem] = []
            for scope in scopes:
                hits += self._descend(scope, segment, final=final)
            if not hits:
                raise self._make_missing_error(spec, "::".join(segments[: depth + 1]))
            scopes = hits
        self._check_unambiguous(spec, segments[-1], scopes)
        return sorted(scopes, key=lambda f: f.node.start_byte)

    def _descend(self, scope: SelectedItem, segment: str, *, final: bool) -> list[SelectedItem]:
        owners = scope.owners
        if scope.node.type in ("mod_item", "impl_item", "trait_item"):
            owners = (*owners, scope.node)
        hits = []
        for node in self.source.list_items(scope.node):
            matched = self._is_match(node, segment)
            if not final:  # a type's name also opens its impl blocks
                matched = (matched and node.type in _SCOPES) or (
                    " " not in segment and self._is_match(node, f"impl {segment}")
                )
            if matched and not self.source.is_test(node):
                hits.append(SelectedItem(node, owners))
        return hits

    def _is_match(self, node: Node, segment: str) -> bool:
        source = self.source
        if node.type == "impl_item":
            return self._is_impl(node, segment)
        if node.type == "use_declaration":
            path = segment.removeprefix("use").strip()
            return segment.split()[0] == "use" and source.get_text(
                node.child_by_field_name("argument")
            ).startswith(path)
        kind, _, rest = segment.rpartition(" ")
        if node.type == "macro_definition":
            return source.get_name(node) == rest.removesuffix("!") and kind in ("", "macro")
        if node.type in KINDS:
            return source.get_name(node) == rest and kind in ("", KINDS[node.type])
        call = node.named_children[0] if node.type == "expression_statement" else node
        if call.type == "macro_invocation":
            called = source.get_text(call.child_by_field_name("macro")).rpartition("::")[2]
            return called + "!" == segment or (
                kind in ("", "static", "fn") and rest in source.list_macro_names(node)
            )
        return False

    def _is_impl(self, node: Node, segment: str) -> bool:
        source = self.source
        type_node, trait_node = (node.child_by_field_name(f) for f in ("type", "trait"))
        types = {source.get_base_name(type_node), source.get_text(type_node)}
        traits = (
            {source.get_base_name(trait_node), source.get_text(trait_node)} if trait_node else set()
        )
        if pair := re.fullmatch(r"<(.+) as (.+)>|impl (.+) for (.+)", segment):
            a, b, c, d = pair.groups()
            return (a or d) in types and (b or c) in traits
        return segment.startswith("impl ") and segment.removeprefix("impl ") in types

    def _check_unambiguous(self, spec: str, segment: str, hits: list[SelectedItem]) -> None:
        """Several hits are fine for blocks of a type, macros, uses, and cfg twins."""
        if len(hits) < 2 or segment.endswith("!") or segment.startswith(("impl ", "use", "<")):
            return
        plain = [f for f in hits if not any(self.source.has_cfg(n) for n in (f.node, *f.owners))]
        if plain:
            lines = ", ".join(str(self.source.get_line(f.node)) for f in hits)
            raise UpstreamError(
                f"'{spec}' is ambiguous: it stands at lines {lines}",
                where=self.source.name,
                allowed=[
                    *sorted({f"{KINDS.get(f.node.type, 'item')} {segment}" for f in hits}),
                    "<Type as Trait>::method",
                ],
                next="name one of them in extracts.toml",
            )

    def _make_missing_error(self, spec: str, reached: str) -> UpstreamError:
        near = difflib.get_close_matches(spec, self.source.list_names(), n=4, cutoff=0.5)
        return UpstreamError(
            f"no item '{reached}'" + ("" if reached == spec else f" (of '{spec}')"),
            where=self.source.name,
            allowed=near or None,
            next="correct extracts.toml, or see `lar upstream drift` where the item moved",
        )


class _Changes:
    """Emits items with the declared changes: tests out, visibility up, inline in."""

    def __init__(self, source: Source, *, lift: bool, inline: bool) -> None:
        self.source = source
        self.lift = lift
        self.inline = inline

    def emit_opening(self, owner: Node) -> bytes:
        """Attributes and header of a module or impl, up to and with its brace."""
        raw, body = self.source.raw, owner.child_by_field_name("body")
        assert body is not None
        edits: list[tuple[int, int, bytes]] = []
        if self.lift and owner.type in ("mod_item", "trait_item"):
            self._publish_item(owner, edits)
        lead = [raw[n.start_byte : n.end_byte] for n in self.source.find_lead(owner)]
        return b"\n".join(
            [*lead, _apply_edits(raw, owner.start_byte, body.start_byte, edits) + b"{"]
        )

    def emit_item(self, node: Node) -> bytes:
        """Bytes of an item with its attributes, docs and own indentation."""
        source = self.source
        start, end = (source.find_lead(node) or [node])[0].start_byte, node.end_byte
        while start and source.raw[start - 1 : start] in (b" ", b"\t"):
            start -= 1
        edits: list[tuple[int, int, bytes]] = []
        self._walk_node(node, edits)
        tail = node.next_sibling
        if node.type == "macro_invocation" and tail is not None and tail.type == ";":
            end = tail.end_byte
        return _apply_edits(source.raw, start, end, edits)

    def _walk_node(self, node: Node, edits: list[tuple[int, int, bytes]]) -> None:
        if self.inline and node.type == "function_item":
            self._add_inline(node, edits)
        if self.lift:
            self._publish_item(node, edits)
            self._publish_fields(node, edits)
        body = node if node.type == "source_file" else node.child_by_field_name("body")
        if body is None or node.type not in (
            "impl_item", "mod_item", "struct_item", "trait_item", "source_file",
        ):  # fmt: skip
            return
        for child in body.named_children:
            if self._is_dropped(child, whole=node.type == "source_file"):
                first = (self.source.find_lead(child) or [child])[0]
                after = child.next_sibling  # a removed field takes its comma along
                end = after.end_byte if after is not None and after.type == "," else child.end_byte
                edits.append((first.start_byte, end, b""))
            else:
                self._walk_node(child, edits)

    def _is_dropped(self, node: Node, *, whole: bool) -> bool:
        if node.type.endswith("_comment"):
            return whole and self.source.get_text(node).startswith(("//!", "/*!"))
        if whole and node.type == "inner_attribute_item":
            return True
        out_of_line = node.type == "mod_item" and node.child_by_field_name("body") is None
        return (whole and out_of_line) or (
            node.type != "attribute_item" and self.source.is_test(node)
        )

    def _publish_item(self, node: Node, edits: list[tuple[int, int, bytes]]) -> None:
        if node.type not in KINDS or node.type in ("macro_definition", "associated_type"):
            return
        if node.type == "function_signature_item" or self._is_in_trait(node):
            return
        self._raise_visibility(node, node.start_byte, edits)

    def _is_in_trait(self, node: Node) -> bool:
        owner = node.parent.parent if node.parent is not None else None
        return owner is not None and (
            owner.type == "trait_item"
            or (owner.type == "impl_item" and owner.child_by_field_name("trait") is not None)
        )

    def _publish_fields(self, node: Node, edits: list[tuple[int, int, bytes]]) -> None:
        body = node.child_by_field_name("body") if node.type == "struct_item" else None
        if body is None:
            return
        if body.type == "field_declaration_list":
            for field in body.named_children:
                if field.type == "field_declaration":
                    self._raise_visibility(field, field.start_byte, edits)
            return
        fields = body.children_by_field_name("type")  # a tuple struct
        for field in fields:
            before = field.prev_named_sibling
            if before is not None and before.type == "visibility_modifier":
                if self.source.get_text(before) != "pub":
                    edits.append((before.start_byte, before.end_byte, b"pub"))
            else:
                edits.append((field.start_byte, field.start_byte, b"pub "))

    def _raise_visibility(self, node: Node, at: int, edits: list[tuple[int, int, bytes]]) -> None:
        found = next((c for c in node.children if c.type == "visibility_modifier"), None)
        if found is None:
            edits.append((at, at, b"pub "))
        elif self.source.get_text(found) != "pub":
            edits.append((found.start_byte, found.end_byte, b"pub"))

    def _add_inline(self, node: Node, edits: list[tuple[int, int, bytes]]) -> None:
        marked = any(
            self.source.get_text(n).startswith("#[inline") for n in self.source.find_lead(node)
        )
        if not marked and node.child_by_field_name("type_parameters") is None:
            edits.append((node.start_byte, node.start_byte, b"#[inline] "))


def _apply_edits(raw: bytes, start: int, end: int, edits: list[tuple[int, int, bytes]]) -> bytes:
    """`raw[start:end]` with replacements; equal positions keep the order they were made in."""
    out, at = [], start
    for a, b, new in sorted(edits, key=lambda e: e[0]):
        if a < at:
            continue
        out += [raw[at:a], new]
        at = b
    return b"".join([*out, raw[at:end]])
