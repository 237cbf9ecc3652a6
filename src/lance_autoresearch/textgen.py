"""Text columns from a seed: licence-free corpora for every target that reads strings.

Words are made of syllables, so they share prefixes, suffixes and letter pairs as natural words do,
and their ranks are log-uniform (Zipf with exponent 1). Nothing is downloaded, nothing is fixed: a
fresh generator gives a fresh vocabulary. No value contains NUL, because Lance's FSST trainer
breaks ties between symbols that differ only in trailing NULs by the order of a hash set.

    rng = np.random.default_rng(7)
    text = CORPORA["names"](rng, 1000)     # Text(data: uint8[13_700], offsets: int32[1001])
    bytes(text.data[text.offsets[0]:text.offsets[1]])          # b"Tramo Vulskenti"

| corpus | a value | mean bytes |
|---|---|---|
| names | first and last name | 14 |
| urls | https://www.w.tld/w/w?id=n | 50 |
| prose | 6 to 25 words | 110 |
| hex | 32 hexadecimal digits | 32 |
| sparse | one short word, a third of the values empty | 4 |
| noise | 12 random bytes, no NUL | 12 |
| words | one word | 7 |
| few | one of 32 words | 7 |
| accents | three words of two-byte UTF-8 letters | 38 |
| lognormal | words cut to a log-normal length (median 20, heavy tail) | 33 |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Ints = NDArray[np.signedinteger[Any]]

ONSETS = "b bl br c ch cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl st t th tr v w z"
NUCLEI = "a e i o u ai ea ee ia io oa ou"
CODAS = "- - - - l m n nd ng nt r rd rk rn s sk st t x"
TLDS = (".com", ".org", ".net", ".io", ".de", ".co.uk")
SPACE, SLASH = b" ", b"/"
SCATTER = 5.0
"""How loosely a word's rank follows its length, in letters."""


class Text(NamedTuple):
    """A string column: value `i` is `data[offsets[i]:offsets[i + 1]]`."""

    data: Bytes
    """All values, one after the other."""
    offsets: Ints
    """int32, n + 1 of them, the first is 0."""


class Vocabulary(NamedTuple):
    """Pieces of text to draw from, padded to one width so that a draw is a row gather."""

    rows: Bytes
    """uint8[size, width]; what stands beyond a piece's length is never read."""
    lens: Ints
    """int32[size]"""

    @classmethod
    def of(cls, pieces: list[bytes]) -> Vocabulary:
        """From the pieces themselves."""
        width = max(map(len, pieces))
        rows = np.frombuffer(b"".join(p.ljust(width, b"\0") for p in pieces), np.uint8)
        return cls(rows.reshape(len(pieces), width), np.array([len(p) for p in pieces], np.int32))

    def pieces(self) -> list[bytes]:
        """The pieces themselves, by rank."""
        return [bytes(r[:k]) for r, k in zip(self.rows, self.lens, strict=True)]


def vocabulary(rng: np.random.Generator, size: int, capital: bool = False) -> Vocabulary:
    """`size` different words of one to four syllables, short ones first (as frequent words are)."""
    parts = [list(p.replace("-", "").split(" ")) for p in (ONSETS, NUCLEI, CODAS)]
    words: dict[str, None] = {}
    while len(words) < size:
        n = 2 * size
        sources = [(p, rng.integers(0, len(p), (n, 4))) for p in parts]
        syllables = rng.choice([1, 2, 3, 4], n, p=[0.2, 0.4, 0.3, 0.1])
        for row, count in enumerate(syllables.tolist()):
            syllable = [part[pick[row, k]] for k in range(count) for part, pick in sources]
            words["".join(syllable)] = None
            if len(words) == size:
                break
    # Rank follows length only loosely: frequent words are short, but not all short words frequent.
    order = np.argsort([len(w) for w in words] + rng.normal(0, SCATTER, size), kind="stable")
    known = list(words)
    ranked = [known[i].capitalize() if capital else known[i] for i in order]
    return Vocabulary.of([w.encode() for w in ranked])


def zipf(rng: np.random.Generator, size: int, n: int) -> Ints:
    """`n` ranks below `size`, log-uniform: rank r is drawn in proportion to 1/(r + 1)."""
    ranks: Ints = np.exp(rng.random(n) * np.log(size + 1)).astype(np.int32) - np.int32(1)
    return np.minimum(ranks, size - 1)


def join(parts: list[Vocabulary], picks: list[Ints], width: Ints | None = None) -> Text:
    """Value `i` = the pieces `parts[k]` at `picks[k][i]`, one after the other.

    `width` groups consecutive rows instead: value `j` joins the next `width[j]` rows.
    """
    source = np.concatenate([p.rows.reshape(-1) for p in parts])
    bases = np.cumsum([0] + [p.rows.size for p in parts[:-1]])
    starts = np.stack([base + pick * np.int32(p.rows.shape[1])
                       for p, pick, base in zip(parts, picks, bases, strict=True)], axis=1)
    lens = np.stack([p.lens[pick] for p, pick in zip(parts, picks, strict=True)], axis=1)
    ends = np.zeros(lens.size + 1, np.int32)
    np.cumsum(lens.reshape(-1), out=ends[1:])
    # Byte j of the result comes from j + (start of its piece - where its piece lands).
    index = np.repeat((starts.reshape(-1) - ends[:-1]).astype(np.int32), lens.reshape(-1))
    index += np.arange(ends[-1], dtype=np.int32)
    rows = ends[:: len(parts)]
    return Text(source[index], rows if width is None else rows[np.append(0, np.cumsum(width))])


def fixed(rows: Bytes) -> Text:
    """Values of one width: uint8[n, width]."""
    n, width = rows.shape
    return Text(rows.reshape(-1), np.arange(n + 1, dtype=np.int32) * width)


def names(rng: np.random.Generator, n: int) -> Text:
    """`Tramo Vulskenti`: 600 first and 4,000 last names."""
    first, last = vocabulary(rng, 600, capital=True), vocabulary(rng, 4000, capital=True)
    picks = [zipf(rng, 600, n), np.zeros(n, np.int32), zipf(rng, 4000, n)]
    return join([first, Vocabulary.of([SPACE]), last], picks)


def urls(rng: np.random.Generator, n: int) -> Text:
    """`https://www.w.tld/w/w?id=n` over 8,000 words and 100,000 identifiers."""
    word = vocabulary(rng, 8000)
    host = Vocabulary.of([b"https://www."])
    tld = Vocabulary.of([(t + "/").encode() for t in TLDS])
    query = Vocabulary.of([b"?id="])
    digits = Vocabulary.of([str(i).encode() for i in range(1000)])
    zero = np.zeros(n, np.int32)
    ids = [rng.integers(100, 1000, n), rng.integers(100, 1000, n)]
    parts = [host, word, tld, word, Vocabulary.of([SLASH]), word, query, digits, digits]
    picks = [zero, zipf(rng, 8000, n), zipf(rng, len(TLDS), n), zipf(rng, 8000, n), zero,
             rng.integers(0, 8000, n), zero, *ids]
    return join(parts, picks)


def prose(rng: np.random.Generator, n: int) -> Text:
    """Sentences of 6 to 25 words over a vocabulary of 8,000, each word followed by a space."""
    word = vocabulary(rng, 8000)
    spaced = Vocabulary.of([piece + SPACE for piece in word.pieces()])
    width = rng.integers(6, 26, n)
    return join([spaced], [zipf(rng, 8000, int(width.sum()))], width)


def hexadecimal(rng: np.random.Generator, n: int) -> Text:
    """32 lower-case hexadecimal digits."""
    return fixed(np.frombuffer(b"0123456789abcdef", np.uint8)[rng.integers(0, 16, (n, 32))])


def sparse(rng: np.random.Generator, n: int) -> Text:
    """One word of 8,000; a third of the values are empty."""
    word = vocabulary(rng, 8000)
    none = Vocabulary(word.rows, np.where(np.arange(8000) == 7999, 0, word.lens).astype(np.int32))
    picks = np.where(rng.random(n) < 1 / 3, 7999, zipf(rng, 7999, n)).astype(np.int32)
    return join([none], [picks])


def noise(rng: np.random.Generator, n: int) -> Text:
    """12 random bytes without NUL: nothing to compress, most codes are escapes."""
    return fixed(rng.integers(1, 256, (n, 12), np.uint8))


def words(rng: np.random.Generator, n: int, size: int = 8000) -> Text:
    """One word of a vocabulary of `size`."""
    return join([vocabulary(rng, size)], [zipf(rng, size, n)])


def few(rng: np.random.Generator, n: int) -> Text:
    """One of 32 words: a category column."""
    return words(rng, n, 32)


def accents(rng: np.random.Generator, n: int) -> Text:
    """Three words whose letters are two bytes of UTF-8 each (Cyrillic), not ASCII."""
    plain = vocabulary(rng, 2000)
    moved = ["".join(chr(c - 97 + 0x430) for c in piece).encode() for piece in plain.pieces()]
    return join([Vocabulary.of(moved)] * 3, [zipf(rng, 2000, n) for _ in range(3)])


def lognormal(rng: np.random.Generator, n: int) -> Text:
    """Running text cut at log-normal lengths: median 20 bytes, sigma 1, at most 400."""
    lens = np.minimum(np.exp(rng.normal(np.log(20), 1, n)), 400).astype(np.int32)
    ends = np.concatenate([np.zeros(1, np.int32), np.cumsum(lens, dtype=np.int32)])
    text = prose(rng, int(ends[-1]) // 60 + 1)
    return Text(text.data[: ends[-1]], ends)


CORPORA: Mapping[str, Callable[[np.random.Generator, int], Text]] = {
    "names": names, "urls": urls, "prose": prose, "hex": hexadecimal, "sparse": sparse,
    "noise": noise, "words": words, "few": few, "accents": accents, "lognormal": lognormal,
}
"""Name -> generator(rng, number of values)."""
