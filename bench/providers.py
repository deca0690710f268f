"""The cost of sending through each provider: CPU and mails a second, compared to a bare loop and django-anymail.

All four ways keep one connection to one sandbox and take turns, a few mails each, so that a busy machine slows down all
alike. They send the same mails: sign-in codes as we render them, in several languages, to different people. A cell is
the median of the rounds, a ratio the median of the rounds' ratios. `python -m bench.providers` prints the table.
"""

import random
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.anymail import NONE, anymail
from bench.bare import bare
from bench.goals import is_quick, judge
from bench.rendering import TEMPLATES
from bench.sandboxes import DOMAIN, sandboxes
from mailroom.delivery.dispatch import Dispatch
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Status
from mailroom.model.sender import Sender
from mailroom.providers import NAMES, load
from mailroom.rendering.renderer import Renderer
from mailroom.settings import Settings

ROUNDS = 60
MAILS = 10  # a round
QUICK_ROUNDS = 15
SENDER = Sender(Mailbox(f"no-reply@{DOMAIN}", "Acme"), Mailbox(f"help@{DOMAIN}", "Help"))
BRAND = {"name": "Acme", "color": "#0b7a5c", "company": "Acme GmbH\nHauptstraße 1, 10115 Berlin"}
LOCALES = ("en", "de", "fr", "ru", "ja", "ar")
TEXTS = 2 * len(LOCALES)

Send = Callable[[int], object]


@dataclass(slots=True)
class Way:
    """A way to send, and the seconds per mail of each of its rounds."""

    send: Send
    cpu: list[float]
    wall: list[float]

    def run(self, numbers: range) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        for number in numbers:
            self.send(number)
        self.cpu.append((time.process_time() - cpu) / len(numbers))
        self.wall.append((time.perf_counter() - wall) / len(numbers))


def messages(number: int) -> list[Message]:
    """Return requests for sign-in codes, of different people in several languages."""
    now = time.time()
    return [
        Message(
            new_id(),
            "default",
            "sign-in-code",
            f"reader{n}@example.org",
            {"code": f"{n * 7919 % 1_000_000:06}", "application": {"name": "Acme"}},
            now,
            now + 600,
            "logto",
            (LOCALES[n % len(LOCALES)],),
        )
        for n in range(number)
    ]


def rendered(sent: Sequence[Message]) -> list[Email]:
    """Return their mails; some share a text, so that a processor has it in its cache, as after rendering."""
    renderer = Renderer(TEMPLATES)
    texts = [renderer.render(message, SENDER, BRAND) for message in sent[:TEXTS]]
    return [
        replace(
            texts[n % TEXTS],
            to=message.to,
            headers={**texts[n % TEXTS].headers, "X-Entity-Ref-ID": message.id},
            tags={**texts[n % TEXTS].tags, "message_id": message.id},
        )
        for n, message in enumerate(sent)
    ]


def dispatched(name: str, settings: Settings, emails: Sequence[Email], sent: Sequence[Message]) -> Send:
    """Return a function that sends like `deliver`: along a chain, within the rate limit, with an outcome."""
    dispatch = Dispatch(settings)
    parcels = [Parcel.of(message) for message in sent]

    def send(number: int) -> None:
        outcome, _ = dispatch.send(parcels[number], emails[number], (name,), parcels[number].message.expires_at)
        if outcome.status is not Status.SENT:
            raise SystemExit(f"{name} did not accept it: {outcome.reason}")

    return send


def adapter(name: str, settings: Mapping[str, str], emails: Sequence[Email], keys: Sequence[str]) -> Send:
    provider = load(name, settings)
    return lambda number: provider.send(emails[number], keys[number])


def race(name: str, settings: Settings, rounds: int) -> dict[str, Way]:
    """Measure all ways to send through one provider, in turn."""
    values, total = settings.provider(name), (rounds + 1) * MAILS
    sent = messages(total)
    emails = rendered(sent)
    sends = {
        "bare": bare(name, values, emails, [new_id() for _ in sent]),
        "adapter": adapter(name, values, emails, [new_id() for _ in sent]),
        "deliver": dispatched(name, settings, emails, sent),
    }
    if name not in NONE:
        sends["anymail"] = anymail(name, values, emails)
    ways = {way: Way(send, [], []) for way, send in sends.items()}
    order = list(ways.values())
    for start in range(0, total, MAILS):
        random.shuffle(order)  # or each would always follow the same other one
        for way in order:
            way.run(range(start, start + MAILS))
    for way in ways.values():
        del way.cpu[0], way.wall[0]  # the first round warms up
    return ways


def ratio(way: Way, base: Way) -> float:
    return statistics.median(cpu / base_cpu for cpu, base_cpu in zip(way.cpu, base.cpu, strict=True))


def figures(name: str, ways: Mapping[str, Way]) -> dict[str, float]:
    """Return the figures that have a goal."""
    compared = {"a bare loop's": "bare", "django-anymail's": "anymail"}
    return {
        f"{name}, CPU of a mail, of {label}": ratio(ways["deliver"], ways[way])
        for label, way in compared.items()
        if way in ways
    }


def row(name: str, ways: Mapping[str, Way]) -> str:
    cells = [
        f"{statistics.median(ways[way].cpu) * 1e6:9.0f}" if way in ways else f"{'-':>9}"
        for way in ("bare", "adapter", "deliver", "anymail")
    ]
    ratios = [f"{value:7.2f}x" for value in figures(name, ways).values()]
    rates = [
        f"{1 / statistics.median(ways[way].wall):8.0f}" if way in ways else f"{'-':>8}"
        for way in ("bare", "deliver", "anymail")
    ]
    return f"{name:9}{''.join(cells)}{''.join(ratios):16}{''.join(rates)}"


def main() -> None:
    rounds = QUICK_ROUNDS if is_quick() else ROUNDS
    warnings.filterwarnings("ignore", module="anymail")  # it warns that its SendGrid backend is no longer tested
    print(f"{'':9}{'CPU a mail, µs':^36}{'deliver of':^16}{'mails a second':^24}")
    print(
        f"{'':9}{'bare':>9}{'adapter':>9}{'deliver':>9}{'anymail':>9}{'bare':>8}{'anymail':>8}"
        f"{'bare':>8}{'deliver':>8}{'anymail':>8}"
    )
    measured: dict[str, float] = {}
    with sandboxes() as settings:
        for name in NAMES:
            ways = race(name, settings, rounds)
            print(row(name, ways), flush=True)
            measured |= figures(name, ways)
    print(f"-: django-anymail has nothing for {' and '.join(NONE)}; for smtp it is Django's own backend\n")
    raise SystemExit(judge(measured))


if __name__ == "__main__":
    main()
