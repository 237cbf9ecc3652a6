"""From a campaign to files: index.html, progress.png and results.tsv in one directory.

    write_report(night, card, directory)       # one target
    write_index(nights, directory)             # all targets, each linked to its page

A page carries a content policy that allows its own style and script by digest and nothing else:
even a hole in the escaping could load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lance_autoresearch.host import files
from lance_autoresearch.ledger.tsv import SHORT, dump_trials
from lance_autoresearch.report import chart, picture, sections
from lance_autoresearch.report.campaign_data import CampaignData
from lance_autoresearch.report.chart import TIMES
from lance_autoresearch.report.trust import build_trust
from lance_autoresearch.report.words import DIGESTS, PHASES
from lance_autoresearch.text.curve import compute_curve, find_overall_gain
from lance_autoresearch.text.kind_gains import sum_kind_gains
from lance_autoresearch.text.plain_text import strip_text

HERE = Path(__file__).parent
NOTHING, MINUS = "\u2013", "\u2212"
WIDE, NARROW = (980.0, 400.0), (380.0, 300.0)
"""Pixels of the chart's two drawings."""


class Card(NamedTuple):
    """A target's description of itself; empty if the target is gone."""

    summary: str = ""
    call_site: str = ""
    cost: str = ""


def write_report(night: CampaignData, card: Card, directory: Path) -> Path:
    """Write a target's page, picture and table; returns the page."""
    title = f"{night.target}: {night.campaign.name if night.campaign else 'outside campaigns'}"
    picture.draw_picture(night.records, directory / "progress.png", title)
    files.write_atomically(directory / "results.tsv", dump_trials(night.rows, SHORT).encode())
    page = directory / "index.html"
    files.write_atomically(page, render_page(night, card).encode())
    return page


def write_index(nights: Sequence[tuple[CampaignData, Card]], directory: Path) -> Path:
    """Write the table of all targets; the pages lie in `<directory>/<target>/`."""
    rows = []
    for night, card in nights:
        line = compute_curve(night.records).line
        rows.append(
            {
                "night": night,
                "card": card,
                "counts": sections.count_verdicts(night),
                "speed": line[-1] if line else None,
                "quotes": sections.select_quotes(night),
                "chart": chart.draw_chart(
                    night.rows, compute_curve(night.records), width=300, height=120
                ),
            }
        )
    page = directory / "index.html"
    text = _render_template("index.html.j2", {"targets": rows, "title": "All targets"})
    files.write_atomically(page, text.encode())
    return page


def render_page(night: CampaignData, card: Card) -> str:
    """The page of one campaign."""
    curve = compute_curve(night.records)
    guessed = sections.list_guesses(night)
    return _render_template("page.html.j2", {
        "title": night.target,
        "night": night,
        "card": card,
        "counts": sections.count_verdicts(night),
        "hours": sections.measure_hours(night),
        "speed": curve.line[-1] if curve.line else 1.0,
        "wide": chart.draw_chart(night.rows, curve, width=WIDE[0], height=WIDE[1]),
        "narrow": chart.draw_chart(night.rows, curve, width=NARROW[0], height=NARROW[1]),
        "quotes": sections.select_quotes(night),
        "room": sections.split_headroom(night.headroom),
        "lineage": sections.list_keeps(night, curve.line),
        "failures": sections.group_failures(night),
        "kind_gains": sum_kind_gains(night.records),
        "guesses": guessed,
        "score": sections.score_guesses(guessed) if guessed else None,
        "trust": build_trust(night),
        "phases": sections.summarize_phases(night),
        "phase_words": defaultdict(str, PHASES),
        "digest_words": defaultdict(str, DIGESTS),
        "unkept": sections.explain_unkept(night, curve),
        "run_trials": sections.count_run(night),
        "money": sections.sum_costs(night),
        "gains": {row.id: find_overall_gain(row.record) for row in night.rows},
        "last": night.rows[-1].record if night.rows else None,
    })


def _render_template(template: str, data: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    house = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    house.filters.update(
        words=strip_text,
        gain=_format_gain,
        speed=_format_speed,
        exact=_format_exact,
        ns=_format_ns,
        seconds=_format_seconds,
        day=_format_day,
        took=_format_duration,
    )
    house.globals.update(seconds_of=sections.read_seconds, gain_of=find_overall_gain)
    from markupsafe import Markup

    own = {"style": Markup(style), "script": Markup(script)}
    policy = (
        f"default-src 'none'; style-src {_hash_source(style)}; script-src {_hash_source(script)}"
    )
    return house.get_template(template).render(**data, **own, policy=policy)


def _hash_source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _format_gain(value: float | None) -> str:
    if value is None:
        return NOTHING
    digits = 2 if abs(value) < 99.995 else 0
    return f"{value:+.{digits}f} %".replace("-", MINUS)


def _format_speed(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.{2 if value < 99.995 else 0}f}{TIMES}"


def _format_exact(value: float | None) -> str:
    """A figure to quote: one digit more."""
    return NOTHING if value is None else f"{value:.3f}{TIMES}"


def _format_ns(ns: float) -> str:
    for unit, size in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if ns / size < 999.95:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def _format_seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 0.9995 else f"{value:.1f} s"


def _format_duration(hours: float) -> str:
    """`34 minutes`, `7.5 hours`."""
    if hours < 1.5:
        minutes = max(1, round(60 * hours))
        return f"{minutes} minute{'s' if minutes != 1 else ''}"
    return f"{hours:.1f} hours"


def _format_day(iso: str) -> str:
    """`2026-11-22 19:35`: UTC without seconds."""
    return iso[:16].replace("T", " ")
