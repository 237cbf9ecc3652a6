"""`lar new`: from a function of Lance to a target that passes `lar validate` unedited.

    lance-linalg::distance::hamming::hamming
      file       lance-linalg/src/distance/hamming.rs
      items      hamming, hamming_autovec             (the items of its own file that it names)
      signature  (x: &[u8], y: &[u8]) -> f32
      written    targets/hamming/{extracts.toml, fixtures.py, target.py, contract.rs, ...}
                 digests in upstream.lock

Simple functions only: free, over slices and scalars. The slices of one call have equal length
and a `usize` gets that length; if Lance expects something else, change `inputs` in target.py.
An unsupported function is refused with a reason before any file is written.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lance_autoresearch.errors import UpstreamError, UsageError
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.oracle.archives import Archives, Progress
from lance_autoresearch.oracle.manifest import EXTRACTS, Manifest, load_manifest
from lance_autoresearch.oracle.manifest import NAME as MANIFEST
from lance_autoresearch.oracle.slicer import Slicer
from lance_autoresearch.oracle.syntax import Source
from lance_autoresearch.targets import templates
from lance_autoresearch.targets.catalogue import NAME, list_targets
from lance_autoresearch.targets.signature import Signature, parse_signature

WHY_CALL_SITE = (
    "a target needs the place where Lance calls it: a kernel that is never called cannot become a "
    "pull request"
)
WHY_COST = (
    "a target needs its share of real work: making 1 % of a query twice as fast gains half a "
    "per cent"
)
IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")


@dataclass(frozen=True, slots=True)
class Order:
    """The user's request, checked."""

    name: str
    crate: str
    path: tuple[str, ...]
    """Module path and function, e.g. ("distance", "hamming", "hamming")."""
    call_site: str
    """`crate/src/file.rs:line`."""
    cost: float
    """Fraction of real work, above 0, at most 1."""


@dataclass(slots=True)
class Closure:
    """Items to extract: file inside the crate -> specs, in the order of discovery."""

    files: dict[str, list[str]] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    """Names that live outside the crate: nothing to extract."""


def parse_order(
    root: Path, name: str, upstream: str | None, call_site: str | None, cost: float | None
) -> Order:
    """Check the command line; every fault at once.

    Raises:
        UsageError: something is missing or malformed, with the reason why `lar new` needs it.
    """
    faults = []
    if not NAME.fullmatch(name):
        faults.append(f"name '{name}' must be lower case with dashes, like hamming")
    elif name in list_targets(root) or (root / "targets" / name).exists():
        faults.append(f"targets/{name} exists already")
    parts = tuple((upstream or "").split("::"))
    if len(parts) < 2 or not all(parts):
        faults.append("--upstream CRATE::PATH, like lance-linalg::distance::hamming::hamming")
    if call_site is None:
        faults.append(f"--call-site FILE:LINE is missing: {WHY_CALL_SITE}")
    elif not re.fullmatch(r"[\w-]+/src/\S+\.rs:\d+", call_site):
        faults.append(f"--call-site '{call_site}' is not like lance-index/src/vector/kmeans.rs:817")
    if cost is None:
        faults.append(f"--cost FRACTION is missing: {WHY_COST}")
    elif not 0 < cost <= 1:
        faults.append(f"--cost {cost} is not a fraction above 0 and at most 1")
    if faults:
        raise UsageError("\n  ".join(faults), where="lar new", next="lar new --help")
    assert call_site is not None and cost is not None
    return Order(name, parts[0], parts[1:], call_site, cost)


class Crate:
    """One crate's sources at the pinned release, parsed as they are needed."""

    def __init__(
        self, root: Path, manifest: Manifest, name: str, progress: Progress | None
    ) -> None:
        self.name = name
        self.directory = Archives(root, manifest, progress=progress).ensure_directory(name, None)
        self._parsed: dict[str, Slicer] = {}

    def get_slicer(self, file: str) -> Slicer:
        """The parsed file `src/...`."""
        if file not in self._parsed:
            source = Source.read(f"{self.name}/{file}", self.directory / file)
            self._parsed[file] = Slicer(source)
        return self._parsed[file]

    def find_module(self, path: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """(file, modules inside it) of a module path; the longest file path wins."""
        for cut in range(len(path), -1, -1):
            stem = "/".join(("src", *path[:cut]))
            for file in (f"{stem}.rs", f"{stem}/mod.rs", f"{stem}/lib.rs"):
                if (self.directory / file).is_file():
                    return file, path[cut:]
        raise UsageError(f"crate {self.name} has no src/lib.rs")


def locate_function(crate: Crate, wanted: Order) -> tuple[str, Signature]:
    """(file, signature) of the requested function.

    Raises:
        UsageError: not there (with the nearest names), or not a simple free function.
    """
    *modules, function = wanted.path
    file, inner = crate.find_module(tuple(modules))
    if inner:
        raise UsageError(
            f"no module '{'::'.join(inner)}' in {file}; a function inside an inline module is "
            "not free-standing",
            where=f"{crate.name}::{'::'.join(wanted.path)}",
        )
    slicer = crate.get_slicer(file)
    try:
        found = slicer.find_items(f"fn {function}")[0]
    except UpstreamError:
        known = [n for n in slicer.source.list_names() if "::" not in n and " " not in n]
        near = difflib.get_close_matches(function, known, n=5, cutoff=0.4)
        raise UsageError(
            f"no function '{function}'", where=slicer.source.name, allowed=near or known
        ) from None
    return file, parse_signature(slicer.source, found.node)


def collect_closure(crate: Crate, file: str, function: str) -> Closure:
    """The function and everything of its own crate that it names, followed to the end."""
    out, todo = Closure(), [(file, f"fn {function}", function)]
    while todo:
        at, spec, name = todo.pop(0)
        specs = out.files.setdefault(at, [])
        if spec in specs:
            continue
        specs.append(spec)
        slicer = crate.get_slicer(at)
        text = slicer.cut_piece(spec).text.decode()
        words = dict.fromkeys(IDENTIFIER.findall(re.sub(r"//[^\n]*", "", text)))
        own = _list_top_level(slicer.source)
        imported = {n: (path, line) for n, path, line in _list_imports(slicer.source)}
        for word in words:
            if word == name:
                continue
            if word in own:
                todo += [(at, s, word) for s in own[word]]
            elif word in imported:
                todo += _follow_import(crate, at, word, *imported[word], out)
    return out


def _follow_import(
    crate: Crate, file: str, word: str, path: tuple[str, ...], line: str, out: Closure
) -> list[tuple[str, str, str]]:
    """Where an imported name lives: more to extract, a `use` of std, or foreign."""
    if path[0] in ("std", "core", "alloc"):
        return [(file, f"use {line}", word)]
    here = tuple(p for p in file.removeprefix("src/").removesuffix(".rs").split("/"))
    here = here[:-1] if here[-1] in ("mod", "lib") else here
    if path[0] == "crate":
        where = path[1:-1]
    elif path[0] == "super":
        ups = sum(1 for p in path if p == "super")
        where = (*here[: len(here) - ups], *path[ups:-1])
    elif path[0] == "self":
        where = (*here, *path[1:-1])
    else:
        out.foreign.append("::".join(path))
        return []
    target, inner = crate.find_module(where)
    own = {} if inner else _list_top_level(crate.get_slicer(target).source)
    if word not in own:
        out.foreign.append("::".join(path))
        return []
    return [(target, s, word) for s in own[word]]


def _list_top_level(source: Source) -> dict[str, list[str]]:
    """Name -> specs of the file's own items; a type defined here brings its impl blocks along."""
    kinds = {"function_item": "fn", "const_item": "const", "static_item": "static",
             "struct_item": "struct", "enum_item": "enum", "type_item": "type",
             "mod_item": "mod", "macro_definition": "macro", "trait_item": "trait"}  # fmt: skip
    found: dict[str, list[str]] = {}
    for node in source.root.named_children:
        if source.is_test(node):
            continue
        if node.type in kinds and (name := source.get_name(node)):
            specs = found.setdefault(name, [])
            specs += [s for s in [f"{kinds[node.type]} {name}"] if s not in specs]
    for node in source.root.named_children:
        name = (
            source.get_base_name(node.child_by_field_name("type"))
            if node.type == "impl_item"
            else ""
        )
        if name in found and f"impl {name}" not in found[name]:
            found[name].append(f"impl {name}")
    return found


def _list_imports(source: Source) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(name, path, how its `use` line begins) of every name brought in; globs are passed over."""
    for node in source.root.named_children:
        if node.type == "use_declaration" and not source.is_test(node):
            text = source.get_text(node.child_by_field_name("argument"))
            begins = text.partition("{")[0].removesuffix("::").strip()
            for name, path in _expand_use(text):
                yield name, path, begins


def _expand_use(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """`a::{b, c::d as e}` -> (b, (a, b)), (e, (a, c, d))."""
    text = re.sub(r"\s+", " ", text).strip()
    if (brace := text.find("{")) >= 0:
        head, depth, start = text[:brace], 0, brace + 1
        for i in range(brace, len(text)):
            depth += {"{": 1, "}": -1}.get(text[i], 0)
            if (text[i] == "," and depth == 1) or (text[i] == "}" and depth == 0):
                if item := text[start:i].strip():
                    yield from _expand_use(head + item)
                start = i + 1
        return
    path, _, alias = text.partition(" as ")
    parts = tuple(p.strip() for p in path.split("::"))
    if parts[-1] not in ("*", "self"):
        yield (alias.strip() or parts[-1], parts)


def check_call_site(root: Path, manifest: Manifest, wanted: Order) -> str | None:
    """A note if the file never names the function, None if the line shows the call.

    Raises:
        UsageError: no such file, or the function is named on other lines only.
    """
    place, _, number = wanted.call_site.rpartition(":")
    crate, _, file = place.partition("/")
    function, line = wanted.path[-1], int(number)
    try:
        path = Archives(root, manifest).ensure_directory(crate, None) / file
    except UpstreamError as error:
        return f"the call site could not be looked up: {error.what}"
    if not path.is_file():
        raise UsageError("no such file in the pinned release", where=place)
    text = path.read_text().splitlines()
    if any(function in t for t in text[max(0, line - 4) : line + 3]):
        return None
    hits = [str(i) for i, t in enumerate(text, 1) if re.search(rf"\b{function}\b", t)]
    if not hits:
        return f"{place} does not name {function}; say in integration.md how it gets there"
    raise UsageError(f"line {line} does not name {function}", where=place, allowed=hits[:12])


def create_target(root: Path, wanted: Order, progress: Progress | None = None) -> list[str]:
    """Write the target, the manifest entries and the lock. Returns the written files and notes.

    Raises:
        UsageError: the function is not one `lar new` can do; nothing is written then.
        UpstreamError: a crate is not available.
    """
    manifest = load_manifest(root)
    crate = Crate(root, manifest, wanted.crate, progress)
    file, signature = locate_function(crate, wanted)
    items = collect_closure(crate, file, signature.name)
    notes = [n for n in [check_call_site(root, manifest, wanted)] if n]
    if items.foreign:
        notes.append(
            "not in this crate, so prelude.rs must stand in for: " + ", ".join(items.foreign)
        )
    home = root / "targets" / wanted.name
    card = templates.TargetDraft(
        wanted.name, wanted.crate, file, wanted.call_site, wanted.cost, signature
    )
    others = [f"{wanted.crate}/{f.removeprefix('src/')}" for f in items.files if f != file]
    for path, body in templates.render_target(card, others).items():
        write_atomically(home / path, body.encode())
    write_atomically(home / EXTRACTS, render_extracts_toml(wanted, file, items).encode())
    add_crate(root, wanted.crate)
    from lance_autoresearch.oracle import pin_release

    pin_release(root, progress=progress)
    return notes


def list_files(root: Path, name: str) -> list[str]:
    """Files of a target's folder, relative to it."""
    home = root / "targets" / name
    return sorted(str(p.relative_to(home)) for p in home.rglob("*.*") if p.suffix != ".pyc")


def add_crate(root: Path, crate: str) -> None:
    """Put the crate into the list of upstream.toml if it is not there yet."""
    path = root / MANIFEST
    text = path.read_text()
    if crate not in tomllib.loads(text)["source"].get("crates", []):
        changed = re.sub(r"(crates\s*=\s*\[)", rf'\1"{crate}", ', text, count=1)
        write_atomically(path, changed.encode())


def render_extracts_toml(wanted: Order, file: str, items: Closure) -> str:
    """The items that the target takes from Lance: the function and all its names in its crate."""
    function = "::".join((wanted.crate, *wanted.path))
    head = f"""# What {wanted.name} takes from Lance: {function} and what it calls.
# The language of items is described in src/lance_autoresearch/oracle/slicer.py. Groups:
#   prelude   what the op calls elsewhere in Lance: prelude.rs pulls it in with extract!("...")
#   kernel    the op's own items: with adapter.rs they are the first kernel
"""
    tables = [_render_table(wanted, "prelude", f, items.files[f]) for f in items.files if f != file]
    return "\n".join([head, *tables, _render_table(wanted, "kernel", file, items.files[file])])


def _render_table(wanted: Order, group: str, file: str, specs: list[str]) -> str:
    listed = ", ".join(f'"{s}"' for s in specs)
    return f"""[[{group}]]
crate = "{wanted.crate}"
file = "{file}"
items = [{listed}]
"""
