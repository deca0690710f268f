"""The cost of sending through each provider: CPU and mails a second, compared to a bare loop and django-anymail.

All four ways keep one connection to one sandbox and take turns, round after round, so that a busy machine slows down
all alike. A cell is the median of the rounds, a ratio the median of the rounds' ratios.
`python -m bench.providers` prints the table.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.anymail import NONE, anymail
from bench.bare import bare
from bench.goals import is_quick, judge
from bench.sandboxes import DOMAIN, sandboxes
from mailroom.delivery.dispatch import Dispatch
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.model.message import Message, Parcel, new_id
from mailroom.model.outcome import Status
from mailroom.providers import NAMES, load
from mailroom.settings import Settings

ROUNDS = 10
MAILS = 40  # a round
QUICK_ROUNDS = 3
EMAIL = Email(
    from_=Mailbox(f"no-reply@{DOMAIN}", "Acme"),
    to="ada@example.org",
    subject="Your code is 000000",
    html="<p>Your code is <b>000000</b></p>" * 60,
    text="Your code is 000000\n" * 20,
    reply_to=Mailbox(f"help@{DOMAIN}", "Help"),
    headers={"X-Entity-Ref-ID": "123", "Auto-Submitted": "auto-generated"},
    tags={"message_id": "0123456789ab", "tenant": "default", "kind": "sign-in-code"},
)

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


def dispatched(name: str, settings: Settings, keys: Sequence[str]) -> Send:
    """Return a function that sends like `deliver`: along a chain, within the rate limit, with an outcome."""
    dispatch = Dispatch(settings)
    now = time.time()
    parcels = [
        Parcel.of(Message(key, "default", "sign-in-code", EMAIL.to, {}, now, now + 600, "logto")) for key in keys
    ]

    def send(number: int) -> None:
        outcome, _ = dispatch.send(parcels[number], EMAIL, (name,), now + 600)
        if outcome.status is not Status.SENT:
            raise SystemExit(f"{name} did not accept it: {outcome.reason}")

    return send


def adapter(name: str, settings: Mapping[str, str], keys: Sequence[str]) -> Send:
    provider = load(name, settings)
    return lambda number: provider.send(EMAIL, keys[number])


def race(name: str, settings: Settings, rounds: int) -> dict[str, Way]:
    """Measure all ways to send through one provider, in turn."""
    values, total = settings.provider(name), (rounds + 1) * MAILS
    keys = [[new_id() for _ in range(total)] for _ in range(3)]
    sends = {
        "bare": bare(name, values, EMAIL, keys[0]),
        "adapter": adapter(name, values, keys[1]),
        "deliver": dispatched(name, settings, keys[2]),
    }
    if name not in NONE:
        sends["anymail"] = anymail(name, values, EMAIL)
    ways = {way: Way(send, [], []) for way, send in sends.items()}
    for start in range(0, total, MAILS):
        for way in ways.values():
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
