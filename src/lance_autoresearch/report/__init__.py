"""The report: one self-contained HTML page a target, and the same campaign as a picture.

    ledger ── gather ──> Night ── sections ──> plain data ── page.html.j2 ──> index.html
                                └ chart ────────────────────┘             └─> progress.png

The page loads nothing: no network, no font, no file beside it; its content policy allows nothing
but its own style and script. Text of agents is escaped and marked as theirs.
"""

from lance_autoresearch.report.campaign_data import CampaignData, gather_campaign
from lance_autoresearch.report.page import write_index, write_report

__all__ = ["CampaignData", "gather_campaign", "write_index", "write_report"]
