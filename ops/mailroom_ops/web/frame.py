"""The frame of every page: loads the templates and renders them with the shared values and headers."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import minijinja

from mailroom_ops.web.pages import headers
from mailroom_ops.web.server import Response

__all__ = ["Frame", "Link"]


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the navigation."""

    name: str
    href: str


@dataclass(frozen=True)
class Frame:
    """Renders templates as pages about one environment; `folders` hold the templates, in order of precedence."""

    label: str
    links: Sequence[Link]
    folders: Sequence[Path]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _templates: minijinja.Environment = field(init=False, repr=False)

    def __post_init__(self) -> None:
        load = minijinja.load_from_path([str(folder) for folder in self.folders])
        shared = {"label": self.label, "links": list(self.links), "csrf": self.token}
        filters = {"iso": _iso, "clock": _clock, "day": _day, "ago": _ago}
        templates = minijinja.Environment(
            load, globals=shared, filters=filters, undefined_behavior="strict", trim_blocks=True, lstrip_blocks=True
        )
        object.__setattr__(self, "_templates", templates)

    def page(self, template: str, values: Mapping[str, Any] = {}, status: int = 200) -> Response:
        """Render `<template>.html` as a page."""
        html = self._templates.render_template(f"{template}.html", **values)
        return Response(status, html.encode(), headers("text/html; charset=utf-8"))

    def error(self, status: int, sentence: str, todo: str = "", details: Sequence[str] = ()) -> Response:
        """Render an error page: what is wrong, and the next step."""
        return self.page("error", {"sentence": sentence, "todo": todo, "details": list(details)}, status)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S}"


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _ago(moment: datetime) -> str:
    seconds = max(0, int((datetime.now(UTC) - moment).total_seconds()))
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return f"{seconds} s ago"
