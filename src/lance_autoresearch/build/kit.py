"""Trusted crates, compiled once for each toolchain and set of flags: shim, prelude, makers.

    parts = compile_kit(root, target)       the crates that a target's kernels are compiled against
    compile_maker(root, target)             the target's program that makes inputs

Every product lies under `.lar/cache/`, named by the digest of its sources.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lance_autoresearch.build.compiler import build_loader_environment, extract_compiler_message
from lance_autoresearch.build.flags import COMMON, select_rust_flags
from lance_autoresearch.errors import BuildFault
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.files import write_atomically
from lance_autoresearch.host.machine_faults import blame_machine
from lance_autoresearch.host.machine_lock import lock_machine
from lance_autoresearch.host.move_in import move_in
from lance_autoresearch.host.sandbox import run_sandboxed
from lance_autoresearch.host.scratch import hold_scratch
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle import ensure_extracts, load_manifest
from lance_autoresearch.oracle.linked_crates import FOLDER, read_crate_facts

RECIPE = 1
"""Part of every key: increase it if a change of this file changes its products."""

_EXTRACT = re.compile(rb'^[ \t]*extract!\("([^"]+)"\);[ \t]*$', re.M)


@dataclass(frozen=True, slots=True)
class Kit:
    """The trusted half of a build, compiled."""

    tools: Toolchain
    flags: str
    shim: Path
    """Directory of liblar_shim.rlib."""
    prelude: Path
    """Directory of libprelude.rlib."""
    contract: bytes
    digest: str
    """Names shim, prelude, contract, flags and compiler."""
    crates: tuple[Path, ...] = ()
    """Directories of the crates that the prelude links, in the order of extracts.toml."""

    @property
    def folders(self) -> list[Path]:
        """All directories that compiling against the kit reads."""
        return [self.shim, self.prelude, *self.crates]

    @property
    def externs(self) -> list[str]:
        """rustc's words that make shim and prelude known, and find what those need."""
        return [
            "--extern", f"prelude={self.prelude / 'libprelude.rlib'}",
            "--extern", f"lar_shim={self.shim / 'liblar_shim.rlib'}",
            *(word for folder in self.folders for word in ("-L", f"dependency={folder}")),
        ]  # fmt: skip


def compile_kit(root: Path, target: str, *, flags: str = "screen", bare: bool = False) -> Kit:
    """The trusted half of a target's build, compiled once per toolchain and flags.

    Args:
        bare: with a shim whose `has` is always false.

    Raises:
        BuildFault: prelude or shim do not compile.
    """
    tools = Toolchain.probe(root)
    options = [*COMMON, *select_rust_flags(tools.host, flags)]
    shim = _build_shim(root, tools, [*options, *(["--cfg=lar_bare"] if bare else [])])
    place = root / "targets" / target
    text = expand_extracts(
        _read_file(place / "prelude.rs"), ensure_extracts(root, target) / "prelude"
    )
    crates = _build_crates(root, tools, target, options)
    externs = ["--extern", f"lar_shim={shim / 'liblar_shim.rlib'}", *_name_externs(crates)]
    home = _build_rlib(
        root, tools, "prelude", {"prelude.rs": text}, options, externs, f"{target} prelude.rs"
    )
    contract = _read_file(place / "contract.rs")
    digest = hash_parts(home.name, shim.name, contract, " ".join(options))
    return Kit(tools, flags, shim, home, contract, digest, tuple(crates.values()))


def _build_crates(
    root: Path, tools: Toolchain, target: str, options: Sequence[str]
) -> dict[str, Path]:
    """Name in Rust -> directory of each crate that the target's items call, in their order."""
    built: dict[str, Path] = {}
    base = ensure_extracts(root, target) / FOLDER
    for crate in load_manifest(root).get_target(target).crates:
        place = base / crate.name
        facts = read_crate_facts(place)
        files = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*.rs")}
        words = select_crate_options(options, facts.edition, crate.features)
        built[crate.rust_name] = _build_rlib(
            root, tools, crate.rust_name, files, words, _name_externs(built),
            f"{crate.name} {crate.version}", entry=facts.entry,
        )  # fmt: skip
    return built


def select_crate_options(
    options: Sequence[str], edition: str, features: Iterable[str]
) -> list[str]:
    """rustc's options for a crate of another project: our flags, its edition and features."""
    ours = [word for word in options if not word.startswith("--edition")]
    return [*ours, f"--edition={edition}", *(f'--cfg=feature="{name}"' for name in features)]


def _name_externs(crates: Mapping[str, Path]) -> list[str]:
    words = [
        ("--extern", f"{name}={folder / f'lib{name}.rlib'}", "-L", f"dependency={folder}")
        for name, folder in crates.items()
    ]
    return [word for four in words for word in four]


def _build_shim(root: Path, tools: Toolchain, options: Sequence[str]) -> Path:
    base = root / "rust"
    files = {
        str(path.relative_to(base)): path.read_bytes()
        for folder in ("shim", "abi/src")
        for path in sorted((base / folder).glob("*.rs"))
    }
    if "shim/lib.rs" not in files:
        raise BuildFault("rust/shim/lib.rs is missing", where="shim", next="git status")
    return _build_rlib(
        root, tools, "lar_shim", files, options, [], "rust/shim", entry="shim/lib.rs"
    )


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BuildFault("file is missing", where=f"{path.parent.name}/{path.name}") from None


def expand_extracts(text: bytes, extracts: Path) -> bytes:
    """Replace each line `extract!("crate/file.rs");` by that generated file."""

    def read_slice(match: re.Match[bytes]) -> bytes:
        path = extracts / match[1].decode()
        if not path.is_file():
            made = [str(p.relative_to(extracts)) for p in sorted(extracts.glob("**/*.rs"))]
            raise BuildFault(f"no extract '{match[1].decode()}'", allowed=made, where="prelude.rs")
        return path.read_bytes().strip(b"\n")

    return _EXTRACT.sub(read_slice, text)


def hash_parts(*parts: str | bytes) -> str:
    sha = hashlib.sha256(f"recipe {RECIPE}".encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little") + data)
    return sha.hexdigest()


def _build_rlib(
    root: Path, tools: Toolchain, name: str, files: Mapping[str, bytes], options: Sequence[str],
    externs: Sequence[str], where: str, *, entry: str | None = None, kind: str = "rlib",
) -> Path:  # fmt: skip
    """Compile a trusted crate once; the directory that holds it."""
    entry = entry or f"{name}.rs"
    listed = [x for item in sorted(files.items()) for x in item]
    words = " ".join([*options, *externs, kind]).replace(f"{root}/", "")  # a checkout may move
    key = hash_parts(tools.verbose, words, *listed)
    product = f"lib{name}.rlib" if kind == "rlib" else name

    def make(build_dir: Path) -> None:
        for path, data in files.items():
            write_atomically(build_dir / path, data)
        argv = [tools.rustc, *options, "--crate-name", name, "--crate-type", kind, *externs, entry]
        needed = [Path(e.partition("=")[2]) for e in externs if "=" in e]
        readable = [Path(tools.sysroot), *(p if p.is_dir() else p.parent for p in needed)]
        done = run_sandboxed(
            argv, workdir=build_dir, readable=readable, env=build_loader_environment(tools)
        )
        if done.code:
            raise BuildFault(extract_compiler_message(done)[0], where=where)

    return place_in_cache(root, name, key, product, make)


def place_in_cache(
    root: Path, shelf: str, key: str, product: str, make: Callable[[Path], None]
) -> Path:
    """`.lar/cache/<shelf>/<key>`, made in a fresh directory and moved there once complete."""
    home = ensure_lar_dir(root, "cache", shelf) / key
    if (home / product).is_file():
        return home
    with (
        lock_machine("shared"),
        blame_machine(f"cache of {shelf}"),
        hold_scratch(root, shelf) as fresh,
    ):
        make(fresh)
        move_in(fresh, home, complete=(home / product).is_file)
    return home


def compile_maker(root: Path, target: str) -> Path:
    """The target's fixture program, built from its maker.rs, prelude and maker extracts."""
    base = compile_kit(root, target, flags="quote")
    place = ensure_extracts(root, target) / "maker"
    text = expand_extracts(_read_file(root / "targets" / target / "maker.rs"), place)
    options = [*COMMON, *select_rust_flags(base.tools.host, "quote")]
    if base.tools.lld:  # rustc's wrapper of lld needs /proc, which the sandbox lacks
        options.append("-Clinker-features=-lld")
    externs = [
        *(word for folder in (base.shim, *base.crates) for word in ("-L", f"dependency={folder}")),
        "--extern", f"prelude={base.prelude / 'libprelude.rlib'}",
    ]  # fmt: skip
    files = {"maker.rs": text}
    return (
        _build_rlib(root, base.tools, "maker", files, options, externs, target, kind="bin")
        / "maker"
    )
