"""Building kernels with real rustc: both sides alike, hostile bytes contained, layouts."""

from __future__ import annotations

import ctypes
import shutil
import struct
from pathlib import Path

import pytest

from lance_autoresearch import oracle
from lance_autoresearch.build import builder, flags, link
from lance_autoresearch.build import kit as kits
from lance_autoresearch.errors import BuildFault, RejectedKernel, UsageError
from lance_autoresearch.host import sandbox
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.judge.admission import admit
from lance_autoresearch.rules.policy import BuildLimits

TARGET = "pq-l2"
ROOT = find_root()
STUB = b"""
pub fn scan8(table: &[f32], m: usize, codes: &[u8], out: &mut [f32]) {
    for (i, o) in out.iter_mut().enumerate() {
        *o = table[codes[i] as usize] + m as f32;
    }
}
pub fn table_l2(_: &[f32], _: usize, _: &[f32], out: &mut [f32]) {
    out.fill(1.5);
}
"""


def rejected(text: bytes) -> RejectedKernel:
    """The refusal of a kernel that must not build."""
    with pytest.raises(RejectedKernel) as caught:
        builder.build_kernel(ROOT, TARGET, text)
    return caught.value


def test_upstream_builds_passes_admission_and_exports_only_the_entry_points() -> None:
    admit(builder.compose_first_kernel(ROOT, TARGET))
    built = builder.build_upstream(ROOT, TARGET)
    library = ctypes.CDLL(str(built.so))
    assert library.lar_call_v1 and library.lar_nop_v1
    assert not hasattr(library, "memcpy_") and built.obj.read_bytes().startswith(b"\x7fELF")


def test_a_second_build_is_answered_from_the_cache() -> None:
    first = builder.build_kernel(ROOT, TARGET, STUB)
    again = builder.build_kernel(ROOT, TARGET, STUB)
    assert again.cached and again.so == first.so and again.digest == first.digest


def test_the_digest_follows_the_code_not_the_text() -> None:
    plain = builder.build_kernel(ROOT, TARGET, STUB)
    commented = builder.build_kernel(ROOT, TARGET, STUB + b"// a thought\n")
    other = builder.build_kernel(ROOT, TARGET, STUB.replace(b"1.5", b"2.5"))
    assert plain.digest == commented.digest != other.digest
    assert plain.so != commented.so and len(str(plain.so)) == len(str(commented.so))


def test_building_twice_from_nothing_gives_the_same_program() -> None:
    first = builder.build_kernel(ROOT, TARGET, STUB)
    bytes_before = first.so.read_bytes()
    shutil.rmtree(first.home)
    second = builder.build_kernel(ROOT, TARGET, STUB)
    assert not second.cached and second.so.read_bytes() == bytes_before
    assert set(second.seconds) >= {"kernel", "contract", "link"}


def test_quote_and_screen_differ_in_alignment_alone() -> None:
    table = flags.FLAGS["x86_64"]
    assert [f for f in table["screen"] if f not in table["quote"]] == [
        "-Cllvm-args=-align-all-functions=6",
        "-Cllvm-args=-align-loops=64",
    ]
    assert not any(
        "native" in f for arch in flags.FLAGS.values() for t in arch.values() for f in t
    )
    quote = builder.build_kernel(ROOT, TARGET, STUB, flags="quote")
    assert quote.digest != builder.build_kernel(ROOT, TARGET, STUB).digest
    with pytest.raises(UsageError) as caught:
        builder.build_kernel(ROOT, TARGET, STUB, flags="qote")
    assert caught.value.allowed == ("quote", "screen")


def test_a_compile_error_names_the_line_and_is_bounded() -> None:
    error = rejected(b"pub fn scan8() {\n    let x: u32 = 1.0;\n}\n")
    assert error.where == "kernels.rs:2" and "mismatched types" in error.what
    assert "/" + str(ROOT).strip("/") not in str(error)
    long = b'compile_error!("' + b"x" * 10_000 + b'\\u{7}\\u{1b}[31m\\u{202e}red");\n'
    error = rejected(long)
    assert len(error.what.encode()) < 2200
    error = rejected(b'compile_error!("\x1b[31m\\u{1b}[31mred\\u{7}\\u{202e}!");\n')
    assert "red" in error.what and not {"\x1b", "\x07", "\u202e"} & set(error.what)


def test_a_missing_or_wrong_surface_is_a_refusal() -> None:
    error = rejected(b"pub fn scan8() {}\n")
    assert "does not offer the target's surface" in error.what and "table_l2" in error.what


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe not utf-8",
        b"pub fn scan8(",
        b"\0",
        b"(" * 100_000,
        b"pub const X: [u8; usize::MAX >> 1] = [0; usize::MAX >> 1];",
        b"const fn spin() -> u8 { let mut i = 0u128; while i < u128::MAX { i += 1 } 0 }\n"
        b"#[allow(long_running_const_eval)] pub const X: u8 = spin();",
    ],
    ids=["empty", "utf8", "cut", "nul", "deep", "huge", "endless"],
)
def test_hostile_bytes_end_as_a_refusal(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "BUILD_LIMITS", BuildLimits(trusted_seconds=3))
    assert rejected(text).where.startswith("kernels.rs")  # type: ignore[union-attr]


@pytest.mark.skipif(sandbox.find_bubblewrap() is None, reason="no bubblewrap here")
def test_the_compiler_cannot_read_the_checkout_or_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Admission refuses include! and env!; even past it there is nothing to find."""
    error = rejected(f'const X: &str = include_str!("{ROOT}/upstream.toml");'.encode() + STUB)
    assert "No such file" in error.what or "couldn't read" in error.what
    monkeypatch.setenv("LAR_TEST_SECRET", "hush")
    assert "not defined" in rejected(b'const X: &str = env!("LAR_TEST_SECRET");' + STUB).what


def test_layouts_move_the_code_and_keep_the_program() -> None:
    built = builder.build_kernel(ROOT, TARGET, STUB)
    layouts = builder.relink_many(built, range(1, 9))
    assert len({p.read_bytes() for p in layouts}) == 8
    assert {len(str(p)) for p in layouts} == {len(str(built.so))}
    for path in layouts[:2]:
        assert ctypes.CDLL(str(path)).lar_call_v1
    sizes = {len(link.extract_loaded_bytes(p.read_bytes())) for p in layouts}
    assert max(sizes) - min(sizes) <= 2 * link.MAX_PAD
    before = layouts[0].read_bytes()
    layouts[0].unlink()
    assert builder.relink_library(built, 1).read_bytes() == before, "a seed is a layout"


def test_layouts_move_the_kernel_by_whole_steps() -> None:
    """The kernel's own function is found at another offset, still on a 64-byte line."""
    tools = Toolchain.probe(ROOT)
    if tools.lld is None:
        pytest.skip("no lld here")
    built = builder.build_kernel(ROOT, TARGET, STUB)
    libraries = builder.relink_many(built, range(1, 9))
    places = {symbol_value(p.read_bytes(), b"scan8") for p in libraries}
    assert len(places) > 1 and all(place % 64 == 0 for place in places)


def test_both_link_orders_put_the_kernel_on_either_side_of_the_contract() -> None:
    built = builder.build_kernel(ROOT, TARGET, STUB)
    sides, places = {}, set()
    for order in link.ORDERS[1:]:
        for seed in range(1, 5):
            path = builder.relink_library(built, seed, order=order)
            assert len(str(path)) == len(str(built.so))
            assert ctypes.CDLL(str(path)).lar_call_v1
            library = path.read_bytes()
            kernel = symbol_value(library, b"scan8")
            assert sides.setdefault(order, kernel > symbol_value(library, b"lar_call_v1", b"")) == (
                kernel > symbol_value(library, b"lar_call_v1", b"")
            )
            places.add(kernel)
    assert set(sides.values()) == {True, False}
    assert len(places) > 2, "no-ops before the kernel move it"
    with pytest.raises(UsageError, match="link order"):
        builder.relink_library(built, 1, order="kernel last")


def symbol_value(library: bytes, part: bytes, crate: bytes = b"kernels") -> int:
    """Address of the one function whose mangled name holds `part` and `crate`."""
    table, (size, count, _) = (
        struct.unpack_from("<Q", library, 40)[0],
        struct.unpack_from("<HHH", library, 58),
    )
    rows = [struct.unpack_from("<IIQQQQIIQQ", library, table + i * size) for i in range(count)]
    found = []
    for _, kind, _, _, offset, length, linked, *_ in rows:
        if kind != 2:
            continue
        names = rows[linked][4]
        for at in range(offset, offset + length, 24):
            name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", library, at)
            text = library[names + name : library.index(b"\0", names + name)]
            if part in text and crate in text:
                found.append(value)
    assert len(found) == 1
    return int(found[0])


def test_relinking_checks_its_arguments() -> None:
    built = builder.build_kernel(ROOT, TARGET, STUB)
    with pytest.raises(UsageError, match="layout seed 0"):
        builder.relink_library(built, 0)
    with pytest.raises(UsageError, match="built with 'screen'"):
        builder.relink_library(built, 1, flags="quote")


def test_the_padding_object_is_what_the_linker_was_promised() -> None:
    built = builder.build_kernel(ROOT, TARGET, STUB)
    with built.obj.open("rb") as file:
        like = file.read(64)
    for size in (0, 4, 64, 4096):
        made = link.build_pad_object(size, like, 64)
        assert struct.unpack_from("<H", made, 16)[0] == 1 and made[18:20] == like[18:20]
        assert link.extract_loaded_bytes(made).count(b"\x90") == size
    assert {link.Layout(s).pad % 64 for s in range(100)} == {0}
    assert max(link.Layout(s, step=4).pad for s in range(500)) > 4000
    assert {link.Layout(s, 64, "kernel first").pad for s in range(500)} == set(range(0, 64, 4))


def test_a_line_that_names_no_extract_is_a_build_fault(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.rs").write_text("fn b() {}\n")
    text = b'mod b {\n    extract!("a/b.rs");\n}\n'
    assert kits.expand_extracts(text, tmp_path) == b"mod b {\nfn b() {}\n}\n"
    with pytest.raises(BuildFault) as caught:
        kits.expand_extracts(b'extract!("a/c.rs");', tmp_path)
    assert caught.value.allowed == ("a/b.rs",)


def test_every_target_builds_from_upstream() -> None:
    for name in oracle.load_manifest(ROOT).targets:
        if (ROOT / "targets" / name / "contract.rs").is_file():
            admit(builder.compose_first_kernel(ROOT, name))
            assert builder.build_upstream(ROOT, name).so.is_file()
            if (ROOT / "targets" / name / "maker.rs").is_file():
                assert kits.compile_maker(ROOT, name).is_file()
