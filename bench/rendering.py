"""The cost of rendering: its share of a cold start, and CPU per warm mail (`python -m bench.rendering`).

Each cold start is a new process: importing the renderer and its libraries, reading one language and the templates of
one kind, and rendering the first mail, without the time for the modules of `mailroom.model`.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.goals import is_quick, judge
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Renderer

ROUNDS = 15
WARM = "rendering one mail, CPU ms"
COLD_MAIL = "rendering, cold: language, templates, first mail, CPU ms"
MAILS = 300
TEMPLATES = Path(__file__).parent.parent / "layers" / "templates"
SENDER = Sender(Mailbox("no-reply@example.com"))
BRAND = {"name": "Acme", "color": "#0b7a5c", "company": "Acme GmbH"}
KINDS: dict[str, dict[str, Any]] = {
    "sign-in-code": {"code": "482913", "application": {"name": "Acme"}},
    "organization-invitation": {"link": "https://example.com/join", "organization": "Söhne", "inviter": "Zoë"},
    "notification": {"title": "A receipt", "paragraphs": ["Thank you."] * 5, "facts": [["Item", "Price"]] * 10},
}
COLD = """
import time
import mailroom.model.message, mailroom.model.sender
started = time.process_time()
from bench import rendering
from pathlib import Path
imported = time.process_time()
renderer = rendering.Renderer(rendering.TEMPLATES)
renderer.compose(rendering.message("sign-in-code", "de"), rendering.SENDER, rendering.BRAND)
print((imported - started) * 1e3, (time.process_time() - imported) * 1e3)
"""


def message(kind: str, locale: str) -> Message:
    return Message("0" * 32, "default", kind, "reader@example.com", KINDS[kind], 0, 600, "direct", (locale,))


def warm(kind: str, locale: str) -> float:
    """Return milliseconds of CPU per mail."""
    renderer, mail = Renderer(TEMPLATES), message(kind, locale)
    renderer.compose(mail, SENDER, BRAND)
    started = time.process_time()
    for _ in range(MAILS):
        renderer.compose(mail, SENDER, BRAND)
    return (time.process_time() - started) / MAILS * 1e3


def cold() -> tuple[float, float]:
    """Return milliseconds of CPU for importing the renderer, and for loading and rendering a first mail."""
    process = subprocess.run([sys.executable, "-c", COLD], check=True, capture_output=True, text=True)
    imported, loaded = map(float, process.stdout.split())
    return imported, loaded


def main() -> None:
    rounds = 5 if is_quick() else ROUNDS
    print("rendering, CPU in ms, median of", rounds)
    colds = [cold() for _ in range(rounds)]
    print(f"  cold: importing the renderer          {statistics.median(c[0] for c in colds):6.2f}")
    print(f"  cold: language, templates, first mail {statistics.median(c[1] for c in colds):6.2f}")
    figures = {
        "rendering, cold: language, templates, first mail, CPU ms": statistics.median(c[1] for c in colds),
        WARM: 0.0,
    }
    for kind in KINDS:
        for locale in ("en", "ar"):
            figure = statistics.median(warm(kind, locale) for _ in range(rounds))
            figures[WARM] = max(figures[WARM], figure)
            print(f"  warm: {kind + ' ' + locale:31} {figure:6.2f}")
    raise SystemExit(judge(figures))


if __name__ == "__main__":
    main()
