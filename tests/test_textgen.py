"""Text corpora: whole values, no NUL, the lengths they promise, nothing fixed but by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from lance_autoresearch.fixtures.textgen import CORPORA, Text, Vocabulary, join, vocabulary, zipf

MEAN_BYTES = {
    "names": 14, "urls": 50, "prose": 110, "hex": 32, "sparse": 4, "noise": 12, "words": 6.5,
    "few": 7, "accents": 38, "lognormal": 33,
}  # fmt: skip


def made(name: str, n: int = 4096, seed: int = 1) -> Text:
    return CORPORA[name](np.random.default_rng(seed), n)


def values(text: Text) -> list[bytes]:
    raw = text.data.tobytes()
    return [raw[a:b] for a, b in zip(text.offsets[:-1], text.offsets[1:], strict=True)]


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_is_a_whole_column_without_nul(name: str) -> None:
    text = made(name, 1000)
    assert (text.data.dtype, text.offsets.dtype) == (np.uint8, np.int32)
    assert (len(text.offsets), text.offsets[0], text.offsets[-1]) == (1001, 0, len(text.data))
    assert (np.diff(text.offsets) >= 0).all()
    assert (text.data != 0).all()


@pytest.mark.parametrize("name", CORPORA)
def test_values_have_about_the_length_the_table_says(name: str) -> None:
    means = [len(made(name, seed=seed).data) / 4096 for seed in range(8)]
    assert np.mean(means) == pytest.approx(MEAN_BYTES[name], rel=0.15)


@pytest.mark.parametrize("name", CORPORA)
def test_the_seed_decides_all(name: str) -> None:
    assert values(made(name)) == values(made(name))
    assert values(made(name)) != values(made(name, seed=2))


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("n", [0, 1])
def test_a_column_may_be_empty_or_a_single_value(name: str, n: int) -> None:
    assert len(made(name, n).offsets) == n + 1


@pytest.mark.parametrize("name", sorted(set(CORPORA) - {"noise", "lognormal"}))
def test_text_is_utf8_value_by_value(name: str) -> None:
    for value in values(made(name, 500)):
        value.decode()


def test_corpora_look_like_what_they_are_named_after() -> None:
    assert all(v.startswith(b"https://www.") and b"?id=" in v for v in values(made("urls", 200)))
    assert all(v.istitle() and v.count(b" ") == 1 for v in values(made("names", 200)))
    assert all(6 <= v.count(b" ") <= 25 for v in values(made("prose", 200)))
    empty = np.mean([not v for v in values(made("sparse"))])
    assert 0.3 < empty < 0.37
    assert len(set(values(made("few")))) <= 32
    assert all(byte >= 0x80 for byte in made("accents", 100).data)


def test_joining_puts_the_pieces_one_after_the_other() -> None:
    left, right = Vocabulary.of([b"a", b"bcd"]), Vocabulary.of([b"--", b""])
    picks = [np.array([1, 0, 1], np.int32), np.array([0, 0, 1], np.int32)]
    assert values(join([left, right], picks)) == [b"bcd--", b"a--", b"bcd"]
    assert values(join([left, right], picks, np.array([2, 1]))) == [b"bcd--a--", b"bcd"]


def test_words_differ_and_frequent_ones_are_shorter() -> None:
    words = vocabulary(np.random.default_rng(3), 8000).pieces()
    assert len(set(words)) == 8000
    assert np.mean([len(w) for w in words[:800]]) < np.mean([len(w) for w in words[-800:]])


def test_ranks_follow_zipf() -> None:
    ranks = zipf(np.random.default_rng(4), 1000, 200_000)
    assert (ranks.min(), ranks.max()) == (0, 999)
    counts = np.bincount(ranks, minlength=1000)
    assert counts[0] / counts[9] == pytest.approx(np.log(2) / np.log(11 / 10), rel=0.1)
