"""The slicer on a file of every construct that Lance's sources made it meet."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lance_autoresearch.errors import UpstreamError
from lance_autoresearch.host.checkout import find_root
from lance_autoresearch.host.toolchain import Toolchain
from lance_autoresearch.oracle.slicer import Slicer
from lance_autoresearch.oracle.syntax import Source

SAMPLE = b"""// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: Copyright Someone

//! Inner docs of the file.
#![allow(dead_code)]

use std::fmt;
use std::io::Read;
mod elsewhere;

/// Doc of area.
#[derive(Clone)]
// a note between attribute and item
pub(crate) struct Area(f32, pub(super) u8, pub u16);

// not part of Pair

struct Pair {
    left: u32,
    #[cfg(test)]
    probe: u32,
    pub(super) right: u32,
}

impl Pair {
    /// Makes one.
    fn new(left: u32) -> Self {
        // a comment with } brace and "quote
        Self { left, right: 0 }
    }
    pub(crate) fn sum(&self) -> u32 {
        fn add(a: u32, b: u32) -> u32 {
            a + b
        }
        add(self.left, self.right)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}\\
            {{", self.left)
    }
}

impl From<u32> for Pair {
    fn from(x: u32) -> Self {
        Self::new(x)
    }
}

impl From<u8> for Pair {
    fn from(x: u8) -> Self {
        Self::new(x as u32)
    }
}

macro_rules! kernel {
    ($(#[$m:meta])* fn $n:ident() -> $r:ty $b:block) => {
        fn $n() -> $r $b
    };
}

kernel! {
    /// Doc in a macro.
    fn made_by_macro() -> u32 {
        7
    }
}

#[cfg(target_os = "linux")]
fn twin() -> u32 {
    1
}
#[cfg(not(target_os = "linux"))]
fn twin() -> u32 {
    2
}

fn twice() {}
mod twice {
    use super::*;
    pub(super) const INSIDE: u32 = 3;
    fn deep() -> u32 {
        INSIDE
    }
    fn other() {}
}

fn generic<T: Copy>(x: T) -> T {
    x
}

#[cfg(test)]
mod tests {
    fn new() {}
}
"""


def cut(*specs: str, text: bytes = SAMPLE, **options: bool) -> str:
    """The sample's slice without its licence header."""
    got = Slicer(Source("some/src/lib.rs", text)).cut_items(specs, **options).decode()
    header = (
        "// SPDX-License-Identifier: Apache-2.0\n// SPDX-FileCopyrightText: Copyright Someone\n"
    )
    assert got.startswith(header)
    return got.removeprefix(header)


def test_attributes_and_docs_come_along_and_visibility_is_lifted() -> None:
    assert cut("Area") == (
        "// some/src/lib.rs:14\n/// Doc of area.\n#[derive(Clone)]\n"
        "// a note between attribute and item\npub struct Area(pub f32, pub u8, pub u16);\n"
    )


def test_a_test_field_goes_with_its_comma_and_a_plain_comment_stays_behind() -> None:
    got = cut("struct Pair")
    assert "probe" not in got and "cfg(test)" not in got and "not part" not in got
    assert "pub left: u32," in got and "pub right: u32," in got


def test_methods_of_one_impl_share_its_header_and_stay_verbatim() -> None:
    got = cut("Pair::sum", "Pair::new")
    assert got.count("impl Pair {") == 1 and got.count("\n}") == 1
    assert got.index("fn new") < got.index("fn sum"), "source order, whatever the order of specs"
    assert '// a comment with } brace and "quote' in got


def test_a_trait_impl_keeps_its_methods_private() -> None:
    got = cut("impl Display for Pair")
    assert "    fn fmt(&self" in got and "pub fn fmt" not in got
    assert got == cut("<Pair as Display>") == cut("<Pair as fmt::Display>")


def test_impl_of_a_type_is_every_block_of_it() -> None:
    assert cut("impl Pair").count("impl") == 4


def test_items_of_a_module_come_out_inside_it() -> None:
    assert cut("twice::deep", "twice::use super").splitlines()[:4] == [
        "pub mod twice {",
        "// some/src/lib.rs:82",
        "    use super::*;",
        "// some/src/lib.rs:84",
    ]


def test_macro_made_items_are_found_by_the_name_they_spell() -> None:
    assert cut("made_by_macro").splitlines()[1] == "kernel! {"
    assert "macro_rules! kernel" in cut("kernel!") and "made_by_macro" in cut("kernel!")


def test_cfg_twins_come_together() -> None:
    assert cut("twin").count("fn twin") == 2


def test_a_nested_function_is_reached_through_its_method() -> None:
    assert "pub fn add(a: u32" in cut("Pair::sum::add")


def test_one_name_for_two_things_is_ambiguous_until_named() -> None:
    with pytest.raises(UpstreamError, match="ambiguous") as caught:
        cut("twice")
    assert {"fn twice", "mod twice"} <= set(caught.value.allowed or ())
    assert cut("fn twice").endswith("pub fn twice() {}\n")


def test_one_method_in_two_blocks_is_ambiguous() -> None:
    with pytest.raises(UpstreamError, match="ambiguous"):
        cut("Pair::from")
    assert cut("<Pair as From<u8>>::from").count("fn from") == 1


def test_a_missing_item_names_the_nearest() -> None:
    with pytest.raises(UpstreamError) as caught:
        cut("made_by_macr")
    assert "made_by_macro" in (caught.value.allowed or ())
    with pytest.raises(UpstreamError, match="Pair::nothing"):
        cut("Pair::nothing")


def test_items_behind_cfg_test_do_not_exist() -> None:
    with pytest.raises(UpstreamError):
        cut("tests::new")


def test_inline_is_added_once_and_never_to_generics() -> None:
    got = cut("generic", "twin", "impl Pair", inline=True)
    assert "#[inline] pub fn generic" not in got
    assert got.count("#[inline] ") == 7, "two twins, new, sum, fmt, both from; not the nested one"


def test_whole_file_compiles_alone(tmp_path: Path) -> None:
    """`*` drops tests, inner docs, inner attributes and `mod x;`: the rest is a crate."""
    got = cut("*")
    assert "mod tests" not in got and "mod elsewhere" not in got and "#![" not in got
    file = tmp_path / "whole.rs"
    file.write_text(got)
    rustc = Toolchain.probe(find_root()).rustc
    argv = [rustc, "--edition=2024", "--crate-type=lib", "--emit=metadata", "--cap-lints=allow"]
    done = subprocess.run([*argv, str(file)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pieces_ignore_lifting_so_digests_follow_upstream_only() -> None:
    piece = Slicer(Source("some/src/lib.rs", SAMPLE)).cut_piece("Pair::sum")
    assert piece.line == 31 and b"pub(crate) fn sum" in piece.text and b"// some" not in piece.text
