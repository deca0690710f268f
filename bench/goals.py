"""The goals of all benches, and the verdict on what a bench has measured."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GOALS", "Goal", "is_quick", "judge"]

QUICK = "quick"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure may be at most `maximum`. One that was reached at the last release must stay reached."""

    maximum: float
    reached: bool


GOALS: Mapping[str, Goal] = {
    "webhook's cold start, of the newcomer's": Goal(0.10, True),
    "webhook's cold start, of an echo's": Goal(3.0, True),
    "webhook's cold start by Entra, CPU ms": Goal(300.0, True),  # of 2 s, with a third of a processor
    "deliver's cold start, of the newcomer's": Goal(0.12, True),
    "deliver's cold start by ses, of the newcomer's": Goal(0.12, True),
    "send's cold start, of the newcomer's": Goal(0.12, True),
    "webhook's peak memory, of the newcomer's": Goal(0.40, True),
    "webhook's warm time beside the stub's, ms": Goal(3.0, True),
    "rendering one mail, CPU ms": Goal(1.0, True),
    "rendering, cold: language, templates, first mail, CPU ms": Goal(15.0, True),
    **{
        f"{name}, CPU of a mail, of a bare loop's": Goal(1.3, True)
        for name in ("resend", "ses", "smtp", "sendgrid", "mailgun", "postmark", "aliyun", "http")
    },
    **{
        f"{name}, CPU of a mail, of django-anymail's": Goal(0.45, True)
        for name in ("resend", "ses", "smtp", "sendgrid", "mailgun", "postmark")
    },
    "time to a lone code, warm, median, s": Goal(0.15, True),
    "time to a lone code, all cold, median, s": Goal(0.6, False),
    "time to a code of 300 by ses, cold, p99, s": Goal(2.5, True),
    "time to a code of 300 by resend, cold, p99, s": Goal(4.0, True),
    "burst of 5,000, first to last mail, s": Goal(10.0, False),  # reached, but any other program makes it longer
    "burst, copies and lost mails": Goal(0.0, True),
    **{
        f"{way}: {name} beside ordinary, z of ranks": Goal(3.3, True)  # beyond it once in a thousand comparisons
        for way in ("send", "webhook")
        for name in ("limited", "suppressed")
    },
}


def is_quick(argv: list[str] | None = None) -> bool:
    """Return whether the caller asks for few rounds; ends the process for any other argument."""
    arguments = sys.argv[1:] if argv is None else argv
    if set(arguments) - {QUICK}:
        raise SystemExit(f"use no argument, or `{QUICK}` for few rounds")
    return bool(arguments)


def judge(figures: Mapping[str, float]) -> int:
    """Print a verdict on each figure; return an exit code: 1 if a goal is missed that was reached at the last release.

    Only a figure that a quick run cannot measure may be absent.
    """
    code = 0
    for name, figure in figures.items():
        goal = GOALS[name]
        is_reached = figure <= goal.maximum
        print(f"{'reached' if is_reached else 'MISSED '}  {name}: {figure:.2f}, goal {goal.maximum:.2f}", flush=True)
        if goal.reached and not is_reached:
            code = 1
    return code
