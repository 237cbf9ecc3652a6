"""Refuses, within milliseconds, what no honest kernel needs: by the kernel's words and symbols.

    admit(text)       # words of kernels.rs: asm!, extern, static mut, std::fs, #[no_mangle], ...
    check_audit(report)  # symbols and sections of the object that was built from it

Every refusal names the word or symbol, its line, and how an honest kernel does the same. This
is a courtesy that saves a trial, not the fence: bytes can hide from a scan, and what a kernel
can *do* is bounded by the sandbox it runs in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from enum import StrEnum
from pathlib import Path
from typing import Any

from lance_autoresearch.errors import RejectedKernel
from lance_autoresearch.judge.extensions import check_features_asked
from lance_autoresearch.judge.rust_tokens import RefusedToken, scan_kernel, split_tokens
from lance_autoresearch.rules.policy import MAX_KERNEL_BYTES, MAX_NESTING
from lance_autoresearch.text.plain_text import strip_text

_INTRINSICS = "intrinsics of core::arch in a #[target_feature] function"
_HAS = "lar_shim::has(lar_shim::Feature::Avx2)"
_CONST = "`const` tables and locals; state does not outlive a call"
_NO_ATTRIBUTE = "plain `pub fn`, no attribute"

ANYWHERE: Mapping[str, str] = {
    **dict.fromkeys(("__cpuid", "__cpuid_count", "__get_cpuid_max", "_xgetbv"), _HAS),
    **dict.fromkeys(
        ("_rdtsc", "__rdtscp", "_rdrand16_step", "_rdrand32_step", "_rdrand64_step",
         "_rdseed16_step", "_rdseed32_step", "_rdseed64_step"),
        "outputs that depend on the inputs alone; only the conductor has a clock",
    ),
    **dict.fromkeys(
        ("_mm_clflush", "_mm_clflushopt"), "loads, stores, prefetches and streaming stores"
    ),
    **dict.fromkeys(
        ("set_hook", "take_hook", "catch_unwind"), "panics where Lance panics: they end the trial"
    ),
}  # fmt: skip
"""Names that admission refuses anywhere in code, and what an honest kernel uses instead."""

KEYWORDS: Mapping[str, str] = {
    "extern": "plain `pub fn`: the contract calls the kernel by its Rust name"
}
"""Keywords refused anywhere."""

HIDDEN_MACROS: Mapping[str, str] = {
    **dict.fromkeys(("asm", "global_asm", "naked_asm", "llvm_asm"), _INTRINSICS),
    **dict.fromkeys(("thread_local", "LocalKey"), _CONST),
    **dict.fromkeys(
        ("is_x86_feature_detected", "is_aarch64_feature_detected", "is_arm_feature_detected"), _HAS
    ),
}
"""Macros refused where they are called or imported, and as a word inside the kernel's own macros
if these can put a call together. Elsewhere the word is a name like any other."""

HIDDEN_ATTRIBUTES: Mapping[str, str] = {
    "naked": _INTRINSICS,
    **dict.fromkeys(("no_mangle", "export_name", "link_section", "link_name"), _NO_ATTRIBUTE),
    "global_allocator": "Vec and Box as they are: the heap is the worker's arena",
}
"""Attributes refused where one can stand: in `#[...]`, in imports, inside own macros."""

MACROS: Mapping[str, str] = {
    **dict.fromkeys(("include", "include_str", "include_bytes"), "`const` tables in the file"),
    **dict.fromkeys(("env", "option_env"), "constants in the file"),
    **dict.fromkeys(
        ("print", "println", "eprint", "eprintln", "dbg"),
        "the outputs it is handed; debug_assert! for checks",
    ),
}
"""Macros refused where they are called or imported."""

MODULES: Mapping[str, str] = {
    **dict.fromkeys(("fs", "net", "process", "os", "path"), "inputs and outputs it is handed"),
    "env": "constants in the file",
    "thread": "one core: the other one measures",
    "time": "no clock; only the conductor has one",
    "backtrace": "panics where Lance panics",
}
"""Modules of std that a kernel may not name."""

ATTRIBUTES = (
    "allow", "cfg", "cold", "deny", "deprecated", "derive", "doc", "expect", "inline", "must_use",
    "non_exhaustive", "repr", "rustfmt", "clippy", "target_feature", "test", "track_caller", "warn",
)  # fmt: skip
INNER = ("allow", "deny", "doc", "expect", "warn")
"""Inner attributes: `#![allow(...)]` and similar ones, none that changes the crate."""

SHIM = ("has", "Feature")
PLAIN_MACROS = (
    "assert", "assert_eq", "assert_ne", "debug_assert", "debug_assert_eq", "debug_assert_ne",
    "vec", "matches", "panic", "unreachable", "todo", "unimplemented", "format", "format_args",
    "write", "writeln", "concat", "stringify", "cfg",
)  # fmt: skip
"""Macros of std that keep their arguments as they are written, unless the kernel defines one."""
_ATTRIBUTE_WORDS = (
    "used", "link", "linkage", "path", "proc_macro", "macro_export", "panic_handler", "ctor",
)  # fmt: skip
_HONEST_WORDS = {**ANYWHERE, **KEYWORDS, **HIDDEN_MACROS, **HIDDEN_ATTRIBUTES}


class Rule(StrEnum):
    """What the trusted program refuses: names on the wire."""

    NOT_UTF8 = "not-utf8"
    HIDDEN = "hidden"
    LEXER = "lexer"
    EMPTY = "empty"
    NESTING = "nesting"
    WORD = "word"
    MACRO = "macro"
    ATTRIBUTE_WORD = "attribute-word"
    ROOT_ALIAS = "root-alias"
    ROOT_GLOB = "root-glob"
    SHIM = "shim"
    MODULE = "module"
    MOD_FILE = "mod-file"
    STREAM = "stream"
    STATIC_MUT = "static-mut"
    STATIC_CELL = "static-cell"
    ATTRIBUTE = "attribute"
    INNER_ATTRIBUTE = "inner-attribute"
    METAVARIABLE = "metavariable"


_NAMES: Mapping[str, Sequence[str] | int] = {
    "anywhere": tuple(ANYWHERE),
    "keywords": tuple(KEYWORDS),
    "hidden_macros": tuple(HIDDEN_MACROS),
    "hidden_attributes": tuple(HIDDEN_ATTRIBUTES),
    "macros": tuple(MACROS),
    "modules": tuple(MODULES),
    "attributes": ATTRIBUTES,
    "inner_attributes": INNER,
    "attribute_words": _ATTRIBUTE_WORDS,
    "shim": SHIM,
    "plain_macros": PLAIN_MACROS,
    "max_nesting": MAX_NESTING,
}


def admit(text: bytes, root: Path | None = None) -> str:
    """Check a kernel's bytes before anything is built from them.

    Args:
        root: the checkout whose trusted program splits the text; None finds it.

    Returns:
        `KernelScan.program`: equal for texts that differ in comments alone.

    Raises:
        RejectedKernel: with the token, its line (`kernels.rs:LINE`) and the honest way.
        MachineError: the trusted program could not run.
    """
    if len(text) > MAX_KERNEL_BYTES:
        raise RejectedKernel(
            f"the kernel has {len(text)} bytes",
            where="kernels.rs",
            allowed=[f"at most {MAX_KERNEL_BYTES}"],
        )
    scan = scan_kernel(text, _NAMES, root)
    if scan.refused is not None:
        what, honest = _describe_refusal(scan.refused)
        # Both may quote the kernel: `honest` names a module of its own.
        raise RejectedKernel(
            strip_text(what, 200),
            where=f"kernels.rs:{scan.refused.line}",
            allowed=[strip_text(way, 120) for way in honest],
        )
    check_features_asked(scan)
    return scan.program


def _describe_refusal(refused: RefusedToken) -> tuple[str, Sequence[str]]:
    """(what is refused, what an honest kernel does)."""
    word, beside = refused.word, refused.beside
    match Rule(refused.rule):
        case Rule.NOT_UTF8:
            return "the kernel is not UTF-8", ["UTF-8 text"]
        case Rule.HIDDEN:
            return _describe_hidden(chr(int(word, 16)), refused.start), ["visible text"]
        case Rule.LEXER:
            return f"the kernel holds {word}, which rustc refuses", ["Rust of edition 2024"]
        case Rule.EMPTY:
            return "the kernel is empty", ["the functions of the target's surface"]
        case Rule.NESTING:
            what = f"brackets are nested deeper than {MAX_NESTING} levels: rustc's stack may end"
            return what, [f"at most {MAX_NESTING} levels; split the expression into functions"]
        case Rule.WORD:
            return f"`{word}` is not admitted", [_HONEST_WORDS[word]]
        case Rule.MACRO:
            return f"`{word}!` is not admitted", [MACROS[word]]
        case Rule.ATTRIBUTE_WORD:
            what = f"`{word}` is not admitted beside macros that write attributes"
            return what, ["attributes written out"]
        case Rule.ROOT_ALIAS:
            return f"`{word} as` is not admitted", [f"{word} by its own name"]
        case Rule.ROOT_GLOB:
            return f"`{beside}::{word}` is not admitted", ["names one by one"]
        case Rule.SHIM:
            return f"`{beside}::{word}` is not admitted", [_HAS]
        case Rule.MODULE:
            return f"`{beside}::{word}` is not admitted", [MODULES[word]]
        case Rule.MOD_FILE:
            return f"`mod {word};` is not admitted", [f"mod {word} {{ ... }}"]
        case Rule.STREAM:
            return f"`{word}` is not admitted", ["the outputs it is handed"]
        case Rule.STATIC_MUT:
            return "`static mut` is not admitted", [_CONST]
        case Rule.STATIC_CELL:
            return f"`static {word}` that can hold a `{beside}` is not admitted", [_CONST]
        case Rule.ATTRIBUTE:
            return f"`#[{word}]` is not admitted", _list_attributes(word, ATTRIBUTES)
        case Rule.INNER_ATTRIBUTE:
            return f"`#![{word}]` is not admitted", _list_attributes(word, INNER)
        case Rule.METAVARIABLE:
            what = f"a macro called by the metavariable `${word}` is not admitted"
            return what, ["macros called by their names"]


def _list_attributes(word: str, known: Sequence[str]) -> Sequence[str]:
    return [_HONEST_WORDS[word]] if word in _HONEST_WORDS else known


_KINDS_OF_HIDDEN: Mapping[str, str] = {
    "\0": "a NUL character (U+0000)",
    "\ufeff": "a byte order mark (U+FEFF) inside the text",
    "\u200b": "an invisible blank (U+200B ZERO WIDTH SPACE)",
    "\u200c": "an invisible joiner (U+200C ZERO WIDTH NON-JOINER)",
    "\u200d": "an invisible joiner (U+200D ZERO WIDTH JOINER)",
}


def _describe_hidden(char: str, start: bool) -> str:
    """What an invisible character is, by its name and code point."""
    if start and char == "\ufeff":
        return "the kernel begins with a byte order mark (U+FEFF)"
    name = f"an invisible direction mark (U+{ord(char):04X} {unicodedata.name(char, '')})"
    return f"the kernel holds {_KINDS_OF_HIDDEN.get(char, name)}"


# ---- audit: what was built ---------------------------------------------------------------

_SYMBOLS = re.compile(
    r"mem(cpy|move|set|cmp)|bcmp|strlen|_GLOBAL_OFFSET_TABLE_|(DW\.ref\.)?rust_eh_personality"
    r"|__rustc::__rust_(alloc|dealloc|realloc|alloc_zeroed|no_alloc_shim_is_unstable\w*)"
    r"|__rust_(alloc|dealloc|realloc|alloc_zeroed|no_alloc_shim_is_unstable\w*)"
    r"|(fma|fmod|floor|ceil|trunc|round|roundeven|rint|nearbyint|sqrt|cbrt|exp|exp2|expm1|log|log2"
    r"|log10|log1p|pow|sin|cos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|hypot|fmin|fmax|fdim|ldexp)f?"
    r"|__(u?div|u?mod|u?divmod|mul|ashl|ashr|lshr|float|floatun|fix|fixuns|extend|trunc|powi)"
    r"[a-z]{2,4}\d?"
    r"|lar_shim::(has|FEATURES|NONE)(::\w+)*"
)
"""Undefined symbols beyond core, alloc and the prelude: the C memory functions, the allocator's
entry points, libm, compiler-rt's arithmetic, the shim's feature word. Of libm all that std offers
for f32 and f64: pure functions, whose bits are those of the libc here on both sides."""

_ERROR_VALUE = re.compile(r"std::io::error(::\w+)*")
"""The plain error value of std, which Lance's decoders return: part of many symbols' names."""

_ROOTS = re.compile(r"(?<![\w:$.])([A-Za-z_]\w*)::")
_TRUSTED_ROOTS = frozenset(("core", "alloc", "prelude", "kernels"))
_WRITABLE = re.compile(r"\.(data|bss|tdata|tbss|init_array|fini_array|preinit_array|ctors|dtors)\b")
_EXPORTS = re.compile(r"_?lar_[a-z]+_v\d+")
_EVERYWHERE = frozenset(
    ("std", "core", "alloc", "kernels", "self", "new", "fn", "impl", "for", "as", "mut", "dyn",
     "data", "bss", "text", "u8", "u32", "u64", "usize", "i32", "i64", "f32", "f64", "str", "bool")
)  # fmt: skip
"""Parts of symbols that say nothing about the line they come from."""
_FIXES: Sequence[tuple[str, str]] = (
    (r"std_detect|feature_detected", _HAS),
    (r"thread|pthread", MODULES["thread"]),
    (r"RandomState|hash::random|getrandom|HashMap|HashSet",
     "BTreeMap or its own table: HashMap draws random keys"),
    (r"std::time|clock", MODULES["time"]),
    (r"print|stdio|std::(fs|net|process|os|env)", "the outputs it is handed"),
)  # fmt: skip


def check_audit(
    report: Mapping[str, Any], text: bytes = b"", linked: Iterable[str] = ()
) -> None:
    """Check `lar-conductor audit`'s report on the kernel's own object and its library.

    Args:
        report: {"undefined": [demangled names], "sections": [{"name", "size", "flags"}],
            "exports": [names exported by the linked library]}.
        text: the kernel; the error cites the line that first names the symbol's source.
        linked: names in Rust of the crates that the prelude links for the kernel too.

    Raises:
        RejectedKernel: names the symbol or section and how to fix it.
    """
    for section in report.get("sections", ()):
        name = str(section["name"])
        writable = _WRITABLE.match(name) or "W" in str(section.get("flags", ""))
        if section["size"] and writable and not name.startswith(".data.rel.ro"):
            raise RejectedKernel(
                f"the object has {section['size']} bytes of writable state in "
                f"{_shorten_section(name)}",
                where=_find_place(_shorten_section(name), text),
                allowed=[_CONST],
            )
    trusted = _TRUSTED_ROOTS.union(linked)
    for symbol in report.get("undefined", ()):
        name = re.sub(r"::h[0-9a-f]{16}$", "", str(symbol))
        if not _is_known_symbol(name, trusted):
            fix = next((m for p, m in _FIXES if re.search(p, name)), None)
            raise RejectedKernel(
                f"the object needs `{name[:200]}`",
                where=_find_place(name, text),
                allowed=[fix or "core, alloc and what the first kernel uses"],
            )
    for export in report.get("exports", ()):
        if not _EXPORTS.fullmatch(str(export)):
            raise RejectedKernel(
                f"the library exports `{str(export)[:200]}`",
                where=_find_place(str(export), text),
                allowed=["plain `pub fn`, no attribute"],
            )


def _find_place(symbol: str, text: bytes) -> str:
    """`kernels.rs:LINE` of the first token that can have caused a symbol or section.

    The search for `std::thread::spawn` tries `spawn`, then `thread`, then any word about threads,
    `.init_array` inside strings too; `kernels.rs` alone if nothing fits.
    """
    lines: dict[str, int] = {}
    for token in split_tokens(text):
        lines.setdefault(token.text, token.line)
    parts = [p for p in re.findall(r"[A-Za-z_]\w*", symbol) if p not in _EVERYWHERE]
    found = next((lines[p] for p in reversed(parts) if p in lines), None)
    if found is None:
        itself = re.escape(symbol.split(" ")[0])
        about = next((p for p, _ in _FIXES if re.search(p, symbol)), itself)
        found = next((line for word, line in lines.items() if re.search(about, word)), None)
    return "kernels.rs" if found is None else f"kernels.rs:{found}"


def _shorten_section(section: str) -> str:
    """`.data._ZN7kernels4LAST17h898cad5cE` reads `.data (kernels::LAST)`."""
    kind, _, mangled = section.partition("._ZN")
    parts: list[str] = []
    while digits := re.match(r"\d+", mangled):
        end = digits.end() + int(digits[0])
        parts.append(mangled[digits.end() : end])
        mangled = mangled[end:]
    return f"{kind} ({'::'.join(parts[:-1])})" if len(parts) > 1 else section


def _is_known_symbol(name: str, trusted: Set[str]) -> bool:
    if _SYMBOLS.fullmatch(name):
        return True
    roots = set(_ROOTS.findall(_ERROR_VALUE.sub("core::io", name)))
    return bool(roots) and roots <= trusted
