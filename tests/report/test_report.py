"""The morning report: complete, true to the ledger, self-contained, and safe to open."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from campaign_parts import FIRST, TARGET, checkout, kernel
from night_parts import long_night, small_night, trial
from pace import least_ratio, own_seconds, pace_seconds

from lance_autoresearch.cli.report import report_campaign
from lance_autoresearch.errors import UsageError
from lance_autoresearch.explain.headroom import Headroom
from lance_autoresearch.explain.headroom_store import save_headroom
from lance_autoresearch.ledger import Ledger, hash_bytes
from lance_autoresearch.records import (
    ComboId,
    DefenceRow,
    DistinctInputsResult,
    NoiseSession,
    Results,
    Verdict,
)
from lance_autoresearch.records.kind import ABLATION
from lance_autoresearch.report import CampaignData, gather_campaign, write_report
from lance_autoresearch.report.page import NOTHING, TIMES, Card, render_page
from lance_autoresearch.report.sections import (
    classify_failure,
    group_failures,
    list_guesses,
    score_guesses,
    select_quotes,
)
from lance_autoresearch.report.trust import build_trust

ROOT = Path(__file__).resolve().parents[2]
FAST = b"// kernel 1\npub fn scan8() { fast(); }\n"
"""What `small_night` keeps."""
REPORT_PACES = 30
"""CPU time of a report of 2,000 trials at most, in paces (`pace.py`): three seconds."""


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_data(self, data: str) -> None:
        if not self.inside or self.inside[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = checkout(tmp_path)
    for name in ("target.py", "fixtures.py"):
        shutil.copy(ROOT / "targets" / TARGET / name, home / "targets" / TARGET)
    monkeypatch.setenv("LAR_ROOT", str(home))
    return home


def night(root: Path, campaign: str | None = None) -> CampaignData:
    with Ledger.open(root) as ledger:
        return gather_campaign(ledger, TARGET, campaign)


def page(root: Path) -> str:
    return render_page(night(root), Card("summary", "file.rs:1", "half"))


# -- what it says --------------------------------------------------------------------------


def test_it_counts_keeps_and_shows_the_change(root: Path) -> None:
    small_night(root)
    seen = Page(page(root))
    assert "5 trials" in seen.text and "1 kept" in seen.text and f"1.25{TIMES}" in seen.text
    assert "“" not in seen.text, "quotation marks come from the style, not the text"
    spans = {attrs.get("class") for tag, attrs in seen.elements if tag == "span"}
    assert {"a", "d", "h"} <= spans
    assert "+pub fn scan8() { fast(); }" in seen.text and "-pub fn scan8() {}" in seen.text


def test_what_the_defences_saw_stands_beside_a_keep(root: Path) -> None:
    night = small_night(root)
    row = DefenceRow(ComboId("scan8", "16x2048 clustered"), 9.0, 8.5, 9.9, rejected=False)
    seen = Results(distinct_inputs=DistinctInputsResult(8.0, 9.0, False, (row,)))
    two = b"// kernel 9\npub fn scan8() { faster(); }\n"
    night.record_trial(trial(two, FAST, Verdict.KEEP, (9.0, 9.0, 9.0), results=seen), two)
    text = Page(page(root)).text
    assert text.count("what the defences saw") == 1, "the first keep is of an older form"
    assert "scan8 16x2048 clustered +9.0% +8.5% +9.9% ok" in text


def test_every_trial_is_a_mark_with_its_verdict_in_both_drawings(root: Path) -> None:
    small_night(root)
    marks = [a for t, a in Page(page(root)).elements if t == "use" and "x" in a]
    drawn = [a["class"] for a in marks]
    each = ["keep", "incorrect", "rejected", "revert", "revert"]
    assert sorted(str(verdict) for verdict in drawn) == sorted(each * 2)


def test_failures_are_grouped_by_their_cause(root: Path) -> None:
    small_night(root)
    found = {(f.verdict, f.why): f.trials for f in group_failures(night(root))}
    assert found == {
        ("incorrect", "another result than Lance's"): 1,
        ("rejected", "`std::thread`"): 1,
        ("revert", "one combo became slower: scan8 96x4000 uniform"): 1,
        ("revert", "slower"): 1,
    }


def test_reasons_that_differ_in_figures_only_are_one_cause() -> None:
    reasons = [f"not confirmed: in long blocks only {gain}%" for gain in ("+5.87", "-1", "58")]
    assert (
        len({classify_failure(trial(kernel(1), FIRST, reason=reason)) for reason in reasons}) == 1
    )
    refused = trial(kernel(1), FIRST, Verdict.REJECTED, None, reason="error[E0425]: no `x` here")
    assert classify_failure(refused) == "did not compile: error[E0425]"


def test_without_a_quoted_figure_it_says_how_to_get_one(root: Path) -> None:
    small_night(root)
    assert f"Not quoted yet: ./lar bench {TARGET}" in Page(page(root)).text


def test_the_quoted_table_has_bounds_and_is_no_trial(root: Path) -> None:
    small_night(root)
    with Ledger.open(root) as ledger:
        row = trial(FAST, FIRST, Verdict.KEEP, (90.0, 60.0, -5.0), kind="quote",
                    results=Results(tier="native"))
        ledger.append(row)
        assert ledger.count_verdicts() == {"keep": 1, "revert": 2, "incorrect": 1, "rejected": 1}
    (quote,) = select_quotes(night(root))
    assert quote.current and quote.tier == "native"
    assert quote.speed == pytest.approx(1 + (0.9 + 0.6 - 0.05) / 3)
    assert [c.speed for c in quote.combos] == pytest.approx([1.9, 1.6, 0.95])
    text = Page(page(root)).text
    assert "5 trials" in text and f"1.900{TIMES}" in text
    assert f"1.896{TIMES} {NOTHING} 1.904{TIMES}" in text
    assert "Not quoted yet" not in text


def test_a_figure_of_an_earlier_champion_is_marked_and_a_stranger_s_left_out(root: Path) -> None:
    campaign = small_night(root)
    better = kernel(77)
    campaign.record_trial(trial(better, FAST, Verdict.KEEP, (3.0, 3.0, 3.0)), better)
    with Ledger.open(root) as ledger:
        ledger.append(trial(FAST, FIRST, Verdict.KEEP, (9.0, 9.0, 9.0), kind="quote"))
        ledger.append(trial(kernel(5), FIRST, Verdict.KEEP, (99.0, 99.0, 99.0), kind="quote"))
    (quote,) = select_quotes(night(root))
    assert not quote.current and quote.speed == pytest.approx(1.09)
    assert "an earlier champion" in Page(page(root)).text


def test_the_false_keep_bound_and_the_nulls(root: Path) -> None:
    small_night(root)
    with Ledger.open(root) as ledger:
        for _ in range(300):
            ledger.append(trial(FIRST, FIRST, gains=(0.0, 0.1, -0.1), kind="aa"))
        ledger.append(trial(kernel(1), FIRST, Verdict.KEEP, (5.0, 5.0, 5.0), kind="delay 5"))
    found = build_trust(night(root))
    assert found.judged == 3, "wrong and refused kernels were not timed"
    assert found.bound == pytest.approx(3 * 2.5e-6)
    assert (found.nulls, found.nulls_kept) == (300, 0)
    assert found.nulls_most == pytest.approx(1 - 0.005 ** (1 / 300))
    assert len(night(root).rows) == 5, "nulls are no trials of the night"


def test_a_session_s_noise_is_shown(root: Path) -> None:
    small_night(root)
    with Ledger.open(root) as ledger:
        ledger.add_noise(
            NoiseSession(TARGET, "ab" * 32, "boot", (0.02, 0.01, 0.0125), 0.0004)
        )
    (session,) = build_trust(night(root)).sessions
    assert (session.bias, session.spread, session.worst) == pytest.approx((0.04, 1.25, 2.0))


def test_combos_at_the_limit_of_memory_are_named_and_not_listed(root: Path) -> None:
    small_night(root)
    assert "./lar explain" in Page(page(root)).text
    rows = (Headroom("scan8 near", 110.0, 100.0), Headroom("scan8 far", 900.0, 100.0))
    save_headroom(root, TARGET, night(root).champion, "zen3", rows)
    with Ledger.open(root) as ledger:
        data = gather_campaign(ledger, TARGET, root=root)
    seen = Page(render_page(data, Card("summary", "file.rs:1", "half"))).text
    assert f"scan8 far 900 ns 100 ns 9.00{TIMES}" in seen
    assert "Memory leaves little or nothing at: scan8 near." in seen
    assert "scan8 near 110" not in seen


def test_an_ablation_is_shown_and_its_trials_count_in_the_error_budget(root: Path) -> None:
    small_night(root)
    before = build_trust(night(root)).judged
    (keep,) = night(root).keeps
    with Ledger.open(root) as ledger:
        for text in (FAST, FAST.replace(b"fast", b"faster")):
            row = replace(keep.record, kernel=hash_bytes(text), kind=ABLATION, campaign=None,
                          parent=keep.id)  # fmt: skip
            ledger.append(row, blobs={"kernel": text})
    data = night(root)
    assert len(data.rows) == 5 and build_trust(data).judged == before + 2
    seen = Page(page(root)).text
    assert "+2 -2 of +2 -2 lines hold the gain of trial" in seen
    assert "faster();" in seen


def test_predictions_are_scored(root: Path) -> None:
    campaign = small_night(root)
    with Ledger.open(root) as ledger:
        for number, (said, was) in enumerate([(5.0, -1.0), (3.0, 1.0), (-2.0, -4.0)]):
            ledger.append(trial(kernel(50 + number), FAST, gains=(was,) * 3, campaign=campaign.name,
                                results=Results(predicted=said)))
    guessed = list_guesses(night(root))
    assert [(g.predicted, g.found) for g in guessed] == [(5.0, -1.0), (3.0, 1.0), (-2.0, -4.0)]
    assert score_guesses(guessed) == pytest.approx({"sign": 2 / 3, "error": 2.0, "excess": 2.0})
    assert "3 predictions: the direction was right in 67 %" in Page(page(root)).text


def test_a_kernel_that_gc_dropped_is_no_accident(root: Path) -> None:
    small_night(root)
    bare = night(root)
    bare.kernels.clear()
    assert "dropped by lar gc" in Page(render_page(bare, Card())).text


def test_it_chooses_the_newest_campaign_with_a_trial_and_lists_the_others(root: Path) -> None:
    first = small_night(root)
    with Ledger.open(root) as ledger:
        ledger.append(trial(kernel(9), FIRST))
    other = long_night(root, 60)
    assert night(root).campaign.name == other.name  # type: ignore[union-attr]
    assert [b.name for b in night(root).others] == [first.name]
    assert len(night(root, first.name).rows) == 5
    with pytest.raises(UsageError, match="no campaign 'nope'") as raised:
        night(root, "nope")
    assert set(raised.value.allowed or ()) == {first.name, other.name}


def test_a_target_without_trials_and_trials_without_campaign(root: Path) -> None:
    assert "No trial yet" in Page(page(root)).text
    with Ledger.open(root) as ledger:
        ledger.append(trial(kernel(1), FIRST))
    text = Page(page(root)).text
    assert "1 trial " in text and "none kept" in text and "outside campaigns" in text


# -- safe to open --------------------------------------------------------------------------

HOSTILE = (
    '<script>alert(1)</script><img src=x onerror=alert(1)>"\'></title></style></script>'
    "{{ 7 * 7 }}{% for %}\u202egnorw\u202c\x1b[31m javascript:alert(1) https://example.org/x"
)


def test_whatever_an_agent_writes_is_only_text(root: Path) -> None:
    clean = small_night(root)
    before = [tag for tag, _ in Page(page(root)).elements]
    text = b"// " + HOSTILE.encode() + b"\npub fn scan8() {}\n"
    clean.record_trial(
        trial(text, FAST, Verdict.KEEP, (1.0, 1.0, 1.0), hypothesis=HOSTILE, reason=HOSTILE,
              agent=HOSTILE), text,
    )
    shown = page(root)
    seen = Page(shown)
    after = [tag for tag, _ in seen.elements]
    assert before.count("script") == after.count("script") == 1
    assert "img" not in after and after.count("style") == 1
    assert not [a for _, attrs in seen.elements for a in attrs if a.startswith("on")]
    assert "{{ 7 * 7 }}" in shown and "\u202e" not in shown and "\x1b" not in shown
    assert r"\u{202e}" in shown, "the diff spells out what could reorder it"


def test_the_page_refers_to_nothing_outside_itself(root: Path) -> None:
    small_night(root)
    shown = page(root)
    links = [
        value for _, attrs in Page(shown).elements
        for name, value in attrs.items() if name in ("href", "src", "srcset", "action", "data")
    ]
    assert links and all(str(link).startswith("#") for link in links)
    assert "url(" not in shown and "@import" not in shown
    assert "http" not in shown.replace("http-equiv", "")


def test_the_content_policy_allows_this_style_and_script_and_no_other(root: Path) -> None:
    small_night(root)
    shown = page(root)
    metas = [attrs for tag, attrs in Page(shown).elements if tag == "meta"]
    policy = next(m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy")
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", shown, re.S)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")
    assert not [attrs for _, attrs in Page(shown).elements if "style" in attrs]


# -- files, size and speed -----------------------------------------------------------------


@pytest.mark.deep
def test_a_report_of_two_thousand_trials_is_whole_and_costs_at_most_three_seconds(
    root: Path, tmp_path: Path
) -> None:
    long_night(root, 2000)
    out = tmp_path / "out"
    spent = least_ratio(
        lambda: own_seconds(lambda: write_report(night(root), Card(), out)), pace_seconds, tries=2
    )
    assert spent < REPORT_PACES
    made = out / "index.html"
    shown = made.read_text()
    assert len(shown) < 3_000_000
    seen = Page(shown)
    assert sum(tag == "use" and "x" in attrs for tag, attrs in seen.elements) == 2 * 2000
    assert sum(tag == "tr" and "id" in attrs for tag, attrs in seen.elements) == 2000
    picture = (tmp_path / "out" / "progress.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and int.from_bytes(picture[16:20], "big") == 1600
    table = (tmp_path / "out" / "results.tsv").read_text().splitlines()
    assert table[0].split("\t")[:4] == ["commit", "gain", "status", "description"]
    assert len(table) == 2001


def test_the_command_writes_where_it_says(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_night(root)
    assert report_campaign(TARGET) == 0
    assert capsys.readouterr().out == f".lar/report/{TARGET}/index.html\n"
    assert report_campaign(all=True) == 0
    index = root / ".lar" / "report" / "index.html"
    link = next(a["href"] for t, a in Page(index.read_text()).elements if t == "a")
    assert (index.parent / str(link)).is_file()
    assert "1 keep" in Page(index.read_text()).text
    assert report_campaign(TARGET, out=root / "elsewhere") == 0
    assert (root / "elsewhere" / "index.html").is_file()


def test_the_command_needs_a_target_or_all(root: Path) -> None:
    for wrong in ({}, {"target": TARGET, "all": True}, {"all": True, "campaign": "x"}):
        with pytest.raises(UsageError, match="--all"):
            report_campaign(**wrong)  # type: ignore[arg-type]
