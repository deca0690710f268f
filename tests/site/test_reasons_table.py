"""The page on troubleshooting contains the table of reasons as it is now."""

import subprocess
import sys
from pathlib import Path

from mailroom_ops.ledger.reasons import BY_STATUS, REASONS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"


def test_the_table_of_reasons_in_the_docs_is_current(tmp_path: Path) -> None:
    for folder in ("docs/site", "ops", "layers"):
        (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder).symlink_to(ROOT / folder)
    page = tmp_path / "docs" / "troubleshooting.md"
    page.write_text(PAGE.read_text("utf-8"), "utf-8")
    script = tmp_path / "docs/site/reasons_table.py"
    subprocess.run([sys.executable, str(script)], check=True)
    assert PAGE.read_text("utf-8") == page.read_text("utf-8"), "write it anew: python docs/site/reasons_table.py"


def test_the_table_has_a_row_for_every_reason() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    for name in REASONS:
        assert any(row.startswith(f"| `{name}` |") for row in rows)
    for status, name in BY_STATUS:
        assert any(row.startswith(f"| `{name}`, {status} |") for row in rows)
