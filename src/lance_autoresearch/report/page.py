"""From a night to files: index.html, progress.png and results.tsv in one directory.

    write_report(night, card, directory)       # one target
    write_index(nights, directory)             # all targets, each linked to its page

A page carries a content policy that allows its own style and script by digest and nothing else:
even a hole in the escaping could load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lance_autoresearch.host import files
from lance_autoresearch.ledger.tsv import SHORT, dump
from lance_autoresearch.report import chart, picture, sections
from lance_autoresearch.report.chart import TIMES
from lance_autoresearch.report.night import Night
from lance_autoresearch.report.trust import trust
from lance_autoresearch.text.curve import overall, speedups
from lance_autoresearch.text.plain_text import stripped

HERE = Path(__file__).parent
NOTHING, MINUS = "\u2013", "\u2212"
WIDE, NARROW = (980.0, 400.0), (380.0, 300.0)
"""Pixels of the chart's two drawings."""


class Card(NamedTuple):
    """What a target says about itself; empty where it is gone."""

    summary: str = ""
    call_site: str = ""
    cost: str = ""


def write_report(night: Night, card: Card, directory: Path) -> Path:
    """Write a target's page, picture and table; returns the page."""
    title = f"{night.target}: {night.campaign.name if night.campaign else 'outside campaigns'}"
    picture.draw(night.records, directory / "progress.png", title)
    files.atomic_write(directory / "results.tsv", dump(night.rows, SHORT).encode())
    page = directory / "index.html"
    files.atomic_write(page, html(night, card).encode())
    return page


def write_index(nights: Sequence[tuple[Night, Card]], directory: Path) -> Path:
    """Write the table of all targets; the pages lie in `<directory>/<target>/`."""
    rows = []
    for night, card in nights:
        line = speedups(night.records).line
        rows.append({
            "night": night, "card": card, "counts": sections.counts(night),
            "speed": line[-1] if line else None, "quotes": sections.quotes(night),
            "chart": chart.draw(night.rows, speedups(night.records), width=300, height=120),
        })
    page = directory / "index.html"
    text = _render("index.html.j2", {"targets": rows, "title": "All targets"})
    files.atomic_write(page, text.encode())
    return page


def html(night: Night, card: Card) -> str:
    """The page of one night."""
    curve = speedups(night.records)
    guessed = sections.guesses(night)
    return _render("page.html.j2", {
        "title": night.target,
        "night": night,
        "card": card,
        "counts": sections.counts(night),
        "hours": sections.hours(night),
        "speed": curve.line[-1] if curve.line else 1.0,
        "wide": chart.draw(night.rows, curve, width=WIDE[0], height=WIDE[1]),
        "narrow": chart.draw(night.rows, curve, width=NARROW[0], height=NARROW[1]),
        "quotes": sections.quotes(night),
        "lineage": sections.lineage(night, curve.line),
        "failures": sections.failures(night),
        "guesses": guessed,
        "score": sections.score(guessed) if guessed else None,
        "trust": trust(night),
        "phases": sections.phases(night),
        "money": sections.money(night),
        "gains": {row.id: overall(row.record) for row in night.rows},
        "last": night.rows[-1].record if night.rows else None,
    })


def _render(template: str, data: Mapping[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    house = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    house.filters.update(
        words=stripped, gain=_gain, speed=_speed, exact=_exact, ns=_ns, seconds=_seconds,
        day=_day, took=_took,
    )
    house.globals.update(seconds_of=sections.seconds)
    from markupsafe import Markup

    own = {"style": Markup(style), "script": Markup(script)}
    policy = f"default-src 'none'; style-src {_allowed(style)}; script-src {_allowed(script)}"
    return house.get_template(template).render(**data, **own, policy=policy)


def _allowed(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _gain(value: float | None) -> str:
    if value is None:
        return NOTHING
    digits = 2 if abs(value) < 99.995 else 0
    return f"{value:+.{digits}f} %".replace("-", MINUS)


def _speed(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.{2 if value < 99.995 else 0}f}{TIMES}"


def _exact(value: float | None) -> str:
    """A figure to quote: one digit more."""
    return NOTHING if value is None else f"{value:.3f}{TIMES}"


def _ns(ns: float) -> str:
    for unit, size in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if ns / size < 999.95:
            return f"{ns / size:.3g} {unit}"
    return f"{ns / 1e9:.3g} s"


def _seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 0.9995 else f"{value:.1f} s"


def _took(hours: float) -> str:
    """`34 minutes`, `7.5 hours`."""
    if hours < 1.5:
        minutes = max(1, round(60 * hours))
        return f"{minutes} minute{'s' if minutes != 1 else ''}"
    return f"{hours:.1f} hours"


def _day(iso: str) -> str:
    """`2026-11-22 19:35`: UTC without seconds."""
    return iso[:16].replace("T", " ")
