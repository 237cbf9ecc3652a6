"""The report in a real browser: it fits, it runs under its own policy, a touch tells the trial.

Needs Debian's `chromium`; skipped where there is none.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from campaign_parts import FIRST, TARGET, checkout
from night_parts import long_night, small_night, trial

from lance_autoresearch.ledger import Ledger
from lance_autoresearch.records import Results, Verdict
from lance_autoresearch.report import gather_campaign, write_index, write_report
from lance_autoresearch.report.page import Card

BROWSER = shutil.which("chromium")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

PROBE = """<!doctype html><body><script>
const frame = document.createElement("iframe");
frame.style.cssText = "width:WIDTHpx;height:900px;border:0";
frame.src = "PAGE";
document.body.append(frame);
frame.onload = () => {
  const page = frame.contentDocument, view = frame.contentWindow;
  for (const fold of page.querySelectorAll("details")) fold.open = true;
  const drawn = [...page.querySelectorAll("figure.night svg")]
    .filter((svg) => svg.getBoundingClientRect().width > 0);
  let said = null;
  for (const svg of drawn) {
    const mark = [...svg.querySelectorAll("use")].at(-1), box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    svg.dispatchEvent(new view.PointerEvent("pointerdown", {
      clientX: box.left + mark.getAttribute("x") * scale,
      clientY: box.top + mark.getAttribute("y") * scale,
    }));
    said = page.querySelector("figcaption").textContent;
  }
  const out = document.createElement("output");
  out.textContent = JSON.stringify({
    wide: page.documentElement.scrollWidth, room: page.documentElement.clientWidth,
    drawings: drawn.length, said, ground: view.getComputedStyle(page.body).backgroundColor,
  });
  document.body.append(out);
};
</script></body>"""


def look(page: Path, width: int, tmp_path: Path, *, dark: bool = False) -> dict[str, Any]:
    """Open a page in a frame of this width; returns what was found there."""
    assert BROWSER is not None
    probe = tmp_path / f"probe-{width}.html"
    probe.write_text(PROBE.replace("WIDTH", str(width)).replace("PAGE", page.as_uri()))
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--window-size=1400,1000",
         "--virtual-time-budget=10000", "--dump-dom", probe.as_uri()],
        capture_output=True, text=True, timeout=120,
    )
    assert "CONSOLE" not in done.stderr, "the page's own policy or script complains"
    found = re.search(r"<output>(.*?)</output>", done.stdout)
    assert found is not None, done.stderr[-2000:]
    return dict(json.loads(unescape(found[1])))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A night with everything on it, long words included."""
    campaign = small_night(checkout(tmp_path))
    with Ledger.open(tmp_path) as ledger:
        kept = campaign.find_champion().kernel
        text = ledger.get_blob(kept)
        quote = trial(text, FIRST, Verdict.KEEP, (181.0, 92.0, -3.0), kind="quote")
        ledger.append(quote)
        ledger.append(trial(FIRST, text, campaign=campaign.name, hypothesis="w" * 900,
                            reason="x" * 900, results=Results(predicted=4.0)))
        return write_report(
            gather_campaign(ledger, TARGET), Card("s" * 80, "f" * 200), tmp_path / "out"
        )


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_sticks_out_and_a_touch_tells_the_trial(
    page: Path, width: int, tmp_path: Path
) -> None:
    found = look(page, width, tmp_path)
    assert found["wide"] <= found["room"], "it must not scroll sideways"
    assert found["drawings"] == 1, "one of the two drawings is shown"
    assert found["said"].startswith("trial 1: keep +25.00%.")


def test_it_is_dark_where_that_is_preferred(page: Path, tmp_path: Path) -> None:
    light, dark = (look(page, 390, tmp_path, dark=d)["ground"] for d in (False, True))
    assert (light, dark) == ("rgb(251, 250, 247)", "rgb(15, 19, 24)")


def test_two_thousand_trials_open_and_answer(tmp_path: Path) -> None:
    long_night(checkout(tmp_path), 2000)
    with Ledger.open(tmp_path) as ledger:
        night = gather_campaign(ledger, TARGET)
    found = look(write_report(night, Card(), tmp_path / TARGET), 390, tmp_path)
    assert found["said"].startswith("trial 1950: keep")
    index = look(write_index([(night, Card())], tmp_path), 390, tmp_path)
    assert index["wide"] <= index["room"]
