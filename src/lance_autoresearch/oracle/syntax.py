"""One Rust source file as the slicer sees it: a syntax tree over its exact bytes.

Knows the parts of an item (attributes, doc comments), the items that exist only for tests, and
the name of an item. `slicer.py` cuts and edits.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lance_autoresearch.errors import UpstreamError

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

KINDS = {
    "function_item": "fn",
    "function_signature_item": "fn",
    "struct_item": "struct",
    "enum_item": "enum",
    "union_item": "union",
    "trait_item": "trait",
    "const_item": "const",
    "static_item": "static",
    "type_item": "type",
    "associated_type": "type",
    "mod_item": "mod",
    "macro_definition": "macro",
}
"""Node types that have a name, and the keyword that selects them in a spec."""

_KEYWORDS = frozenset(KINDS.values())

_TEST_ONLY = re.compile(
    rb"#\[\s*(cfg\s*\(\s*(test\s*\)|any\s*\(\s*\)\s*\)|all\s*\(\s*test\s*[,)])|(\w+::)*test\s*\])"
)


@functools.cache
def load_parser() -> Parser:
    """The Rust parser, loaded on first use."""
    import tree_sitter_rust
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_rust.language()))


ATTACHED = ("attribute_item", "line_comment", "block_comment")
"""Belong to the node behind them, if no empty line stands between."""


def find_whole_span(node: Node, text: bytes) -> tuple[int, int]:
    """Bytes of a node with its attributes and comments, and the line break behind it."""
    start, end, before = node.start_byte, node.end_byte, node.prev_named_sibling
    while before is not None and before.type in ATTACHED:
        between = text[before.end_byte : start]
        own_line = text[: before.start_byte].rpartition(b"\n")[2].strip() == b""
        if between.strip() or between.count(b"\n") > 1 or not own_line:
            break
        start, before = before.start_byte, before.prev_named_sibling
    start -= len(text[:start]) - len(text[:start].rstrip(b" \t"))
    return start, end + (text[end : end + 1] == b"\n")


class Source:
    """A parsed file. `name` is `crate/src/path.rs`, as it appears in messages.

    Raises UpstreamError if the bytes are not UTF-8.
    """

    def __init__(self, name: str, raw: bytes) -> None:
        self.name = name
        self.raw = raw
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise UpstreamError("it is not UTF-8", where=f"{name}:{line}") from None
        self.root = load_parser().parse(raw).root_node

    @classmethod
    def read(cls, name: str, path: Path) -> Source:
        """Parse the file at `path`."""
        return cls(name, path.read_bytes())

    def get_text(self, node: Node | None) -> str:
        """Source text of a node, empty for None."""
        return "" if node is None else self.raw[node.start_byte : node.end_byte].decode()

    def get_line(self, node: Node) -> int:
        """First line of a node, from 1."""
        return node.start_point[0] + 1

    def find_lead(self, node: Node) -> list[Node]:
        """Attributes and outer doc comments that belong to `node`, in source order.

        A plain comment belongs to the item only when attributes stand above it.
        """
        found: list[Node] = []
        above = node.prev_sibling
        while above is not None and (
            above.type == "attribute_item" or above.type.endswith("_comment")
        ):
            found.insert(0, above)
            above = above.prev_sibling
        while found and not self._is_lead(found[0]):
            found.pop(0)
        for i in range(len(found) - 1, -1, -1):
            if not self._is_lead(found[i]) and not any(
                n.type == "attribute_item" for n in found[:i]
            ):
                return found[i + 1 :]
        return found

    def _is_lead(self, node: Node) -> bool:
        if node.type == "attribute_item":
            return True
        text = self.raw[node.start_byte : node.start_byte + 4]
        return text.startswith((b"///", b"/**")) and text not in (b"////", b"/***")

    def is_test(self, node: Node) -> bool:
        """True for items behind `cfg(test)`, `cfg(any())` or `#[test]`."""
        return any(
            n.type == "attribute_item" and _TEST_ONLY.match(self.raw, n.start_byte)
            for n in self.find_lead(node)
        )

    def has_cfg(self, node: Node) -> bool:
        """True if a `cfg` attribute decides whether the item exists."""
        return any(self.get_text(n).startswith("#[cfg(") for n in self.find_lead(node))

    def get_name(self, node: Node) -> str:
        """Name of a named item, empty otherwise."""
        return self.get_text(node.child_by_field_name("name")) if node.type in KINDS else ""

    def get_base_name(self, node: Node | None) -> str:
        """Bare name of a type: `Foo<T>`, `a::Foo`, `&Foo` are all `Foo`."""
        if node is None:
            return ""
        if node.type in ("generic_type", "scoped_type_identifier", "reference_type"):
            inner = node.child_by_field_name("type") or node.child_by_field_name("name")
            return self.get_base_name(inner)
        return self.get_text(node)

    def list_items(self, scope: Node) -> list[Node]:
        """Items directly in a file, module, trait or impl; anywhere in a function's body."""
        if scope.type == "function_item":
            return list(self._walk_inside(scope.child_by_field_name("body")))
        if scope.type in ("mod_item", "trait_item", "impl_item"):
            body = scope.child_by_field_name("body")
            return [] if body is None else list(body.named_children)
        return list(scope.named_children)

    def _walk_inside(self, node: Node | None) -> Iterator[Node]:
        for child in [] if node is None else node.named_children:
            yield child
            if child.type != "function_item":
                yield from self._walk_inside(child)

    def list_macro_names(self, node: Node) -> list[str]:
        """Names that a macro call at item position spells out: `k! { fn a() {} }` gives `a`."""
        call = node.named_children[0] if node.type == "expression_statement" else node
        if call.type != "macro_invocation":
            return []
        trees = [c for c in call.children if c.type == "token_tree"]
        tokens = [c for c in trees[0].children if not c.type.endswith("_comment")] if trees else []
        return [
            self.get_text(name)
            for word, name in itertools.pairwise(tokens)
            if name.type == "identifier" and self.get_text(word) in _KEYWORDS
        ]

    def list_names(self) -> list[str]:
        """What a spec could name in this file: for "nearest" hints."""
        found: list[str] = []
        for node in self.root.named_children:
            if node.type == "impl_item":
                ty = self.get_base_name(node.child_by_field_name("type"))
                trait = node.child_by_field_name("trait")
                found.append(
                    f"impl {self.get_base_name(trait)} for {ty}" if trait else f"impl {ty}"
                )
                found += [f"{ty}::{n}" for m in self.list_items(node) if (n := self.get_name(m))]
            elif node.type == "mod_item":
                mod = self.get_name(node)
                found.append(mod)
                for inner in self.list_items(node):
                    names = [self.get_name(inner), *self.list_macro_names(inner)]
                    found += [f"{mod}::{n}" for n in names if n]
            else:
                found += [n for n in (self.get_name(node), *self.list_macro_names(node)) if n]
        return found
