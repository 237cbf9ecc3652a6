"""Each kind of rewrite: an example with its whole expected text, and where it must not fire."""

from __future__ import annotations

from rewrite_parts import make_candidates, squeeze

from lance_autoresearch.records import RewriteKind
from lance_autoresearch.rewrites import Facts, apply_edits, are_disjoint, list_rewrites


def test_a_loop_is_unrolled_in_order_and_a_reduction_gets_accumulators() -> None:
    text = "pub fn f(xs: &[u64]) -> u64 { let mut sum = 0; for &x in xs { sum ^= x; } sum }"
    found = make_candidates(text, RewriteKind.UNROLL)
    assert sorted(found) == [
        "f: loop 1 by 2", "f: loop 1 by 2 lanes", "f: loop 1 by 4", "f: loop 1 by 4 lanes",
        "f: loop 1 by 8", "f: loop 1 by 8 lanes",
    ]  # fmt: skip
    take = "let Some(&x) = items.next() else { break };"
    assert found["f: loop 1 by 2"] == squeeze(f"""
        pub fn f(xs: &[u64]) -> u64 {{ let mut sum = 0; {{
        // rewrite unroll: 2 iterations a round, in the same order.
        let mut items = xs.into_iter();
        for _ in 0..items.len() / 2 {{ {take} {{ sum ^= x; }} {take} {{ sum ^= x; }} }}
        for &x in items {{ sum ^= x; }} }} sum }}""")
    assert found["f: loop 1 by 2 lanes"] == squeeze(f"""
        pub fn f(xs: &[u64]) -> u64 {{ let mut sum = 0; {{
        // rewrite unroll: 2 accumulators; their order does not matter.
        let mut lane1 = sum ^ sum;
        let mut items = xs.into_iter();
        for _ in 0..items.len() / 2 {{ {take} sum ^= x; {take} lane1 ^= x; }}
        for &x in items {{ sum ^= x; }} sum ^= lane1; }} sum }}""")


def test_a_continue_leaves_its_copy_and_inner_loops_keep_theirs() -> None:
    text = """fn f(xs: &[u64]) { for x in xs { if *x > 3 { continue; }
        for y in 0..3 { if y == 1 { continue; } } g(x); } }"""
    once = make_candidates(text, RewriteKind.UNROLL)["f: loop 1 by 2"]
    assert once.count("break 'item") == 2 and once.count("'item: {") == 2
    assert once.count("if y == 1 { continue; }") == 3


def test_loops_that_cannot_be_repeated_are_left_alone() -> None:
    for loop in (
        "for x in xs { if *x > 3 { break; } g(x); }",
        "'all: for x in xs { g(x); }",
        "'a: loop { for x in xs { if *x > 3 { continue 'a; } } }",
        "while i < 3 { i += 1; }",
        "for x in xs {}",
    ):
        found = make_candidates(f"fn f(xs: &[u64]) {{ {loop} }}", RewriteKind.UNROLL)
        assert not found, loop


def test_float_sums_get_accumulators_only_where_the_target_frees_their_order() -> None:
    text = "fn f(xs: &[f32]) -> f32 { let mut sum = 0.0; for x in xs { sum += x; } sum }"
    strict = make_candidates(text, RewriteKind.UNROLL)["f: loop 1 by 2 lanes"]
    assert "sum.wrapping_sub(sum)" in strict, "rustc refuses it for floats"
    free = make_candidates(text, RewriteKind.UNROLL, Facts(reorders_floats=True))
    assert "let mut lane1 = Default::default();" in free["f: loop 1 by 2 lanes"]


def test_a_sum_that_is_read_in_its_loop_is_no_reduction() -> None:
    for body in ("sum = sum.max(x + sum);", "sum += sum * x;", "sum += x; n += 1;", "*sum += x;"):
        found = make_candidates(f"fn f() {{ for x in xs {{ {body} }} }}", RewriteKind.UNROLL)
        assert not [change for change in found if "lanes" in change], body
    found = make_candidates("fn f() { for x in xs { m = m.min(x); } }", RewriteKind.UNROLL)
    assert "m = m.min(lane1);" in found["f: loop 1 by 2 lanes"]


def test_helpers_get_attributes_and_the_surface_none() -> None:
    text = "pub fn run() { help() }\n#[inline]\nfn help() {}\n"
    found = make_candidates(text, RewriteKind.INLINE)
    assert sorted(found) == ["help: #[inline(always)]", "help: #[inline(never)]"]
    assert found["help: #[inline(never)]"] == squeeze("""pub fn run() { help() }
        // rewrite inline: compiled once, out of its callers' way.
        #[inline(never)] fn help() {}""")


def test_a_function_that_makes_errors_is_cold_and_a_tier_is_never_forced_inline() -> None:
    text = """fn run() -> Result<u8, Error> { Err(fail()) } fn fail() -> Error { Error }
        #[target_feature(enable = "avx2")] fn wide() {} fn go() { unsafe { wide() } }"""
    found = make_candidates(text, RewriteKind.INLINE)
    assert [c for c in found if c.startswith("fail")] == ["fail: #[cold]"]
    assert "wide: #[inline]" in found and "wide: #[inline(always)]" not in found


def test_a_second_change_of_a_function_replaces_the_first_note() -> None:
    text = "fn run() { help() }\nfn help() {}\n"
    for attribute in ("#[inline]", "#[inline(never)]"):
        (chosen,) = (r for r in list_rewrites(text.encode(), Facts(), [RewriteKind.INLINE])
                     if r.step.change == attribute and r.step.place == "help")
        text = apply_edits(text.encode(), [chosen]).decode()
    assert text.count("// rewrite inline") == 1 and text.count("#[inline") == 1


def test_short_circuits_and_assignments_become_selects() -> None:
    text = """fn f(a: f32, low: f32, high: f32, n: &mut u64) {
        if a < low || a >= high { return; }
        let mut k = 0; if a > 0.5 { k += 1; } if a > 2.0 { k = 3; } }"""
    found = make_candidates(text, RewriteKind.SELECT)
    assert sorted(found) == ["f: if 1: |", "f: if 2: select", "f: if 3: select"]
    assert "if (a < low) | (a >= high) { return; }" in found["f: if 1: |"]
    assert "k += std::hint::select_unpredictable(a > 0.5, 1, 0);" in found["f: if 2: select"]
    assert "k = std::hint::select_unpredictable(a > 2.0, 3, k);" in found["f: if 3: select"]


def test_a_compaction_stores_always_and_counts_what_is_kept() -> None:
    text = "fn f() { for &x in xs { if x != 0 { out[n] = x; n += 1; } } }"
    (only,) = make_candidates(text, RewriteKind.SELECT).values()
    assert "out[n] = x; n += usize::from(x != 0);" in only


def test_values_that_may_fail_are_not_computed_ahead() -> None:
    for branch in (
        "if c(x) { k = 1; }",
        "if x > 0 { k = 7 / x; }",
        "if x > 0 { k = xs[x]; }",
        "if let Some(y) = x { k = y; }",
        "if x > 0 { k = 1; } else { k = 2; }",
        "if x > 0 && g(x) { return; }",
        "if x > 0 { out[n] = g(x); n += 1; }",
        "if x > n { out[n] = x; n += 1; }",
    ):
        found = make_candidates(f"fn f() {{ {branch} }}", RewriteKind.SELECT)
        assert not found, branch


def test_constants_take_their_marked_values_or_double_and_halve() -> None:
    text = """const A: usize = 64; // tune: 32 64\nconst B: usize = 8;
        const C: usize = 7;\nconst D: u32 = 8;\nconst E: usize = 2;\n"""
    found = make_candidates(text, RewriteKind.KNOBS)
    assert sorted(found) == ["A: 64 -> 32", "B: 8 -> 16", "B: 8 -> 4"]
    assert "// rewrite knobs: B was 8. const B: usize = 16;" in found["B: 8 -> 16"]


def test_rewrites_of_different_places_combine_and_others_do_not() -> None:
    text = b"const A: usize = 8;\nconst B: usize = 8;\n"
    found = {r.step.label: r for r in list_rewrites(text, Facts(), [RewriteKind.KNOBS])}
    a, b = found["knobs A: 8 -> 4"], found["knobs B: 8 -> 4"]
    assert are_disjoint([a, b]) and not are_disjoint([a, found["knobs A: 8 -> 16"]])
    assert apply_edits(text, [b, a]).count(b"= 4;") == 2
