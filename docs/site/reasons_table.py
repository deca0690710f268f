"""The table of reasons in docs/troubleshooting.md: `python docs/site/reasons_table.py` writes it anew."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "ops"), str(ROOT / "layers" / "mailroom")]

from mailroom_ops.ledger.reasons import BY_STATUS, REASONS, explain  # noqa: E402

__all__ = ["PAGE", "table", "with_table"]

PAGE = ROOT / "docs" / "troubleshooting.md"
BEGIN, END = "<!-- reasons: begin -->\n", "<!-- reasons: end -->\n"


def table() -> str:
    """Return the table as Markdown, in alphabetical order: a reader comes with the word of a log line."""
    rows = [(reason, "", REASONS[reason]) for reason in REASONS]
    rows += [(reason, f", {status}", explanation) for (status, reason), explanation in BY_STATUS.items()]
    if server_error := explain("http_503"):
        rows.append(("http_503", " and the like", server_error))
    lines = [
        f"| `{reason}`{status} | {explanation.meaning} | {explanation.next_step} |"
        for reason, status, explanation in sorted(rows, key=lambda row: row[:2])
    ]
    return "\n".join(["| reason | meaning | next step |", "| --- | --- | --- |", *lines]) + "\n"


def with_table(page: str) -> str:
    """Return a page with the current table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
