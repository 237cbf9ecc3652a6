"""Two cheap questions about a kernel's text: its usual format, and whether rustc accepts it.

    text = format_source(root, text)            by rustfmt, unchanged if there is none
    does_compile(root, "ham", text)           types and borrows only: no code is made

Both programs read text that is not trusted, so they run in the compiler's sandbox.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from lance_autoresearch.build.builder import KERNEL_CRATE, run_kernel_compiler
from lance_autoresearch.build.compiler import build_loader_environment
from lance_autoresearch.build.kit import compile_kit
from lance_autoresearch.host.checkout import ensure_lar_dir
from lance_autoresearch.host.sandbox import ResourceLimits, run_sandboxed
from lance_autoresearch.host.toolchain import Toolchain

STYLES = (("use_small_heuristics=Max", "max_width=110"), ("use_small_heuristics=Max",), ())
"""Settings of rustfmt; a text keeps the first one in which it already is, else the default."""
FORMAT_LIMITS = ResourceLimits(seconds=20.0, cpu_seconds=10.0, output_bytes=4 << 20)
"""rustfmt takes 0.1 s on the largest kernel."""


def format_source(root: Path, text: bytes, like: bytes) -> bytes:
    """A text in the style of another one; unchanged where there is no rustfmt or it fails.

    Args:
        like: the text that it was made from: what is formatted already stays as it is.
    """
    tools = Toolchain.probe(root)
    if not Path(tools.sysroot, "bin", "rustfmt").is_file():
        return text
    style = next(
        (style for style in STYLES if _run_rustfmt(root, tools, like, style) == like), STYLES[-1]
    )
    return _run_rustfmt(root, tools, text, style) or text


def _run_rustfmt(
    root: Path, tools: Toolchain, text: bytes, style: tuple[str, ...]
) -> bytes | None:
    program = Path(tools.sysroot, "bin", "rustfmt")
    settings = [f"--config={','.join(style)}"] if style else []
    with tempfile.TemporaryDirectory(dir=ensure_lar_dir(root, "tmp")) as place:
        done = run_sandboxed(
            [str(program), "--edition=2024", "--emit=stdout", "--quiet", *settings],
            workdir=Path(place), readable=[tools.sysroot], env=build_loader_environment(tools),
            limits=FORMAT_LIMITS, stdin=text,
        )  # fmt: skip
    return done.stdout if done.code == 0 and done.stdout else None


def does_compile(root: Path, target: str, text: bytes) -> bool:
    """Whether rustc accepts a kernel's text.

    Raises:
        BuildFault: a trusted part of the target does not build.
        MachineError: no compiler.
    """
    parts = compile_kit(root, target)
    with tempfile.TemporaryDirectory(dir=ensure_lar_dir(root, "tmp")) as name:
        place = Path(name)
        (place / "kernels.rs").write_bytes(text)
        words = [*KERNEL_CRATE, "--emit=metadata", "kernels.rs"]
        return run_kernel_compiler(place, parts, words).code == 0
