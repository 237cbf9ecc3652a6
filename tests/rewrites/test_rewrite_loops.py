"""The kinds that change loops, bounds and memory: expected texts, and where they must not fire."""

from __future__ import annotations

from rewrite_parts import make_candidates, squeeze

from lance_autoresearch.records import RewriteKind


def test_an_index_loop_gets_a_slice_of_known_length_or_an_assertion() -> None:
    text = "fn f(x: &[u8], n: usize) { for i in 0..n { g(x[i]); } }"
    found = make_candidates(text, RewriteKind.BOUNDS)
    assert found["f: loop 1, x as slice"] == squeeze("""fn f(x: &[u8], n: usize) { {
        // rewrite bounds: of known length, so no index is checked.
        let x = &x[..n]; for i in 0..n { g(x[i]); } } }""")
    assert found["f: loop 1, x unchecked"] == squeeze("""fn f(x: &[u8], n: usize) {
        // rewrite bounds: the assertion covers each unchecked index.
        assert!(n <= x.len());
        for i in 0..n { g((*unsafe { x.get_unchecked(i) })); } }""")
    written = make_candidates(text.replace("&[u8]", "&mut [u8]").replace("g(x[i])", "x[i] = 1"),
                              RewriteKind.BOUNDS)
    assert "let x = &mut x[..n];" in written["f: loop 1, x as slice"]
    assert "(*unsafe { x.get_unchecked_mut(i) }) = 1;" in written["f: loop 1, x unchecked"]


def test_a_table_is_read_unchecked_by_a_byte_behind_its_assertion() -> None:
    text = "fn f(t: &[f32], c: &[u8]) { for &b in c { g(t[usize::from(b)]); } }"
    (only,) = make_candidates(text, RewriteKind.BOUNDS).values()
    assert only.index("assert!(t.len() > 255);") < only.index("for &b in c")
    assert "(*unsafe { t.get_unchecked(usize::from(u8::from(b))) })" in only


def test_an_index_that_no_assertion_covers_stays_checked() -> None:
    for text in (
        "fn f(x: Vec<u8>, n: usize) { for i in 0..n { x.push(x[i]); } }",
        "fn f(x: &mut Vec<u8>, n: usize) { for i in 0..n { g(x[i]); } }",
        "fn f(x: &[u8], n: usize) { for i in 0..n { let x = h(); g(x[i]); } }",
        "fn f(x: &[u8], n: usize) { for i in 0..n { let i = h(); g(x[i]); } }",
        "fn f(x: &[u8], n: usize) { for i in 0..=n { g(x[i]); } }",
        "fn f(x: &[u8], n: usize) { for i in 0..n { g(x[i + 1]); } }",
        "fn f(x: &[u8]) { for i in 0..h() { g(x[i]); } }",
        "fn f(t: &[u8]) { for t in all { g(t[usize::from(b)]); } }",
        "fn f() { let mut t = &a[..9]; t = &b[..2]; g(t[usize::from(b)]); }",
        "fn f() { let t = &mut list; t.clear(); g(t[usize::from(b)]); }",
    ):
        assert not make_candidates(text, RewriteKind.BOUNDS), text


def test_chunks_of_a_constant_size_are_arrays() -> None:
    text = "fn f(x: &[u8]) { for c in x.chunks_exact(8) { g(c); } }"
    (only,) = make_candidates(text, RewriteKind.BOUNDS).values()
    assert "x.as_chunks::<{ 8 }>().0.iter()" in only
    for size in ("n", "x.len() / 2", "size_of::<u8>()"):
        assert not make_candidates(text.replace("8)", f"{size})"), RewriteKind.BOUNDS), size


NEST = """fn f(sums: &mut [f32]) { for (i, column) in codes.chunks_exact(n).enumerate() {
    let table = &tables[i]; for (s, &c) in sums.iter_mut().zip(column) { *s += table[c]; } } }"""


def test_rows_are_taken_a_tile_at_a_time() -> None:
    found = make_candidates(NEST, RewriteKind.NEST)
    assert sorted(found) == [f"f: loop 1 tiles of {rows}" for rows in (1024, 256, 4096)]
    assert found["f: loop 1 tiles of 256"] == squeeze("""fn f(sums: &mut [f32]) { {
        // rewrite nest: 256 rows at a time, which stay in the cache.
        let rows = sums.len(); for first in (0..rows).step_by(256) {
        let last = (first + 256).min(rows);
        for (i, column) in codes.chunks_exact(n).enumerate() { let table = &tables[i];
        for (s, &c) in sums[first..last].iter_mut().zip(&column[first..last])
        { *s += table[c]; } } } } }""")


def test_loops_that_depend_on_their_order_are_not_tiled() -> None:
    for old, new in (
        ("codes.chunks_exact(n).enumerate()", "codes.drain(..).enumerate()"),
        ("sums.iter_mut().zip(column)", "sums.iter_mut().skip(1).zip(column)"),
        ("*s += table[c];", "if c > 3 { return; }"),
        ("let table = &tables[i];", "count += 1;"),
    ):
        assert not make_candidates(NEST.replace(old, new), RewriteKind.NEST), new


def test_loops_are_interchanged_where_neither_needs_the_other() -> None:
    text = "fn f() { for i in 0..n { for j in 0..m { g(i, j); } } }"
    (only,) = make_candidates(text, RewriteKind.NEST).values()
    assert "for j in 0..m { for i in 0..n { g(i, j); } }" in only
    for inner in ("for j in 0..i { g(i, j); }", "for j in 0..m { break; }",
                  "h(); for j in 0..m { g(i, j); }", "for j in 0..h() { g(i, j); }"):
        changed = text.replace("for j in 0..m { g(i, j); }", inner)
        assert not make_candidates(changed, RewriteKind.NEST), inner


def test_a_vector_that_is_copied_out_is_written_in_place() -> None:
    text = """fn run(n: usize, out: &mut [f32]) { out.copy_from_slice(&make(n)); }
        fn make(n: usize) -> Vec<f32> { if n == 0 { return Vec::new(); }
        let mut sums = vec![0.0; n]; fill(&mut sums); sums }"""
    (only,) = make_candidates(text, RewriteKind.OUTPUT).values()
    assert "make_into(n, out);" in only
    assert squeeze("""fn make_into(n: usize, out: &mut [f32]) { if n == 0 { return ; }
        let mut sums = &mut out[..n]; sums.fill(0.0); fill(&mut sums); }""") in only
    for old, new in (("vec![0.0; n]", "other(n)"), ("-> Vec<f32>", "-> Box<[f32]>"),
                     ("sums }", "sums.clone() }")):
        assert not make_candidates(text.replace(old, new), RewriteKind.OUTPUT), new


def test_a_buffer_is_hoisted_unless_it_moves_and_reserved_before_it_grows() -> None:
    text = "fn f() { for x in xs { let mut v = Vec::new(); v.push(x); g(&v); } }"
    (only,) = make_candidates(text, RewriteKind.OUTPUT).values()
    assert "let mut v = Vec::new(); for x in xs { v.clear(); v.push(x); g(&v); }" in only
    assert not make_candidates(text.replace("g(&v)", "all.push(v)"), RewriteKind.OUTPUT)
    text = "fn f() { let mut v = Vec::new(); for x in xs.iter() { v.push(x); } }"
    (only,) = make_candidates(text, RewriteKind.OUTPUT).values()
    assert "Vec::with_capacity(xs.len())" in only


def test_memory_is_requested_ahead_in_order_and_by_key() -> None:
    found = make_candidates("fn f() { for i in 0..n { g(x[i]); } }", RewriteKind.PREFETCH)
    assert len(found) == 3
    assert ("x.as_ptr().wrapping_add(i).cast::<i8>().wrapping_add(256)"
            in found["f: loop 1, x by 256 bytes"])
    text = "fn f() { for (key, to) in keys.iter().zip(out) { g(t[key.as_usize()]); } }"
    found = make_candidates(text, RewriteKind.PREFETCH)
    entry = found["f: loop 1, t by 8 items"]
    assert "let mut later = 8; for" in entry and "later += 1;" in entry
    assert "if let Some(key) = keys.get(later)" in entry
    assert "t.as_ptr().wrapping_add(key.as_usize())" in entry


def test_of_two_tables_read_by_one_key_each_requests_its_own_entry() -> None:
    text = "fn f() { for &key in keys { g(a[key.as_usize()], b[key.as_usize()]); } }"
    found = make_candidates(text, RewriteKind.PREFETCH)
    for table, other in (("a", "b"), ("b", "a")):
        made = found[f"f: loop 1, {table} by 8 items"]
        assert f"{table}.as_ptr()" in made and f"{other}.as_ptr()" not in made


def test_nothing_is_requested_for_values_and_unknown_entries() -> None:
    for text in (
        "fn f() { for &x in xs { g(x); } }",
        "fn f() { while i < n { g(x[i]); } }",
        "fn f() { for &key in keys { let at = h(key); g(t[at]); } }",
    ):
        assert not make_candidates(text, RewriteKind.PREFETCH), text


def test_indices_become_iterators_and_back() -> None:
    by_index = "fn f() { for i in 0..x.len() { g(i, x[i]); } }"
    found = make_candidates(by_index, RewriteKind.ITERATE)
    made = found["f: loop 1 by iterator"]
    assert "for (i, item) in x.iter().enumerate() { g(i, (*item)); }" in made
    found = make_candidates("fn f() { for &v in x.iter() { g(v); } }", RewriteKind.ITERATE)
    assert sorted(found) == ["f: loop 1 as for_each", "f: loop 1 by index"]
    assert "for at in 0..x.len() { let &v = &x[at]; g(v); }" in found["f: loop 1 by index"]
    assert "x.iter().for_each(|&v| { g(v); });" in found["f: loop 1 as for_each"]
    text = "fn f() { x.iter().for_each(|v| g(v)); }"
    (only,) = make_candidates(text, RewriteKind.ITERATE).values()
    assert "for v in x.iter() { g(v); }" in only


def test_forms_that_would_change_the_meaning_are_not_made() -> None:
    for loop, form in (
        ("for i in 0..x.len() { x[i] = 1; }", "by iterator"),
        ("for i in 0..x.len() { g(x[i], x[i + 1]); }", "by iterator"),
        ("for v in x.iter() { if h(v) { return; } }", "as for_each"),
        ("for v in x.iter() { if h(v) { continue; } }", "as for_each"),
        ("for v in x.iter() { h(v)?; }", "as for_each"),
        ("for v in x.iter().skip(1) { h(v); }", "by index"),
    ):
        found = make_candidates(f"fn f() {{ {loop} }}", RewriteKind.ITERATE)
        assert f"f: loop 1 {form}" not in found, loop


def test_a_function_is_compiled_for_wider_features_from_one_body() -> None:
    text = "pub fn f<T: Copy>(x: &[T]) -> usize { g(x) }"
    found = make_candidates(text, RewriteKind.WIDE)
    made = found["f: avx512"]
    assert made.count("{ g(x) }") == 1 and "#[inline(always)] fn f_body<T: Copy>(x: &[T])" in made
    assert "if lar_shim::has(lar_shim::Feature::Avx512f) && " in made
    assert '#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]' in made
    for other in (
        "impl A { fn f(x: u8) { g(x) } }", "unsafe fn f(x: u8) { g(x) }", "fn f(x: u8) -> u8 { x }",
        "#[cold] fn f(x: u8) { g(x) }", "fn f((a, b): (u8, u8)) { g(a) }",
        '#[target_feature(enable = "avx2")] fn f(x: u8) { g(x) }', "fn f(x: impl Fn()) { g(x) }",
    ):
        assert not make_candidates(other, RewriteKind.WIDE), other
