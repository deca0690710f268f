"""The plan page: the changes to parameters that a form makes, shown before they are made."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailroom.model.json_settings import json_object
from mailroom_ops.console.context import PageContext
from mailroom_ops.settings import catalog
from mailroom_ops.settings.changes import Act, Change, described, pending
from mailroom_ops.web.server import Response

__all__ = ["Plan"]

SIGNS = {Act.CREATE: "+", Act.CHANGE: "~", Act.KEEP: "=", Act.REMOVE: "-"}


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a changed parameter: before and after."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes of a form that is posted to `path` again, with its `values`, to make them."""

    title: str
    changes: Sequence[Change]
    path: str
    values: Mapping[str, Sequence[str]]
    back: str
    commands: Sequence[str] = ()  # that do the same
    notes: Sequence[str] = ()

    @property
    def fingerprint(self) -> str:
        """Identify the changes, so that others than those that were shown are never made."""
        pairs = [(change.name, change.old, change.new) for change in self.changes]
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:16]

    def is_confirmed(self, context: PageContext, form: Mapping[str, Sequence[str]]) -> bool:
        """Return whether a form confirms exactly these changes."""
        return context.is_confirmed(form) and form.get("plan") == [self.fingerprint]

    def page(self, context: PageContext, form: Mapping[str, Sequence[str]]) -> Response:
        """Render the plan, with the question to confirm it."""
        pairs = [(name, value) for name, values in self.values.items() for value in values if value]
        rows = [(change, SIGNS[change.act], list(_lines(change))) for change in self.changes]
        has_changed = "plan" in form and form["plan"] != [self.fingerprint]
        values = {
            "plan": self,
            "rows": [
                {"name": change.name, "act": change.act, "sign": sign, "lines": lines} for change, sign, lines in rows
            ],
            "is_empty": not (pending(self.changes) or self.notes),
            "pairs": pairs,
            "is_wrong": "confirmed" in form and not has_changed,
            "has_changed": has_changed,
        }
        return context.page("plan", values)


def _lines(change: Change) -> Iterator[Line]:
    """Yield what a change does to each key of a JSON setting; of a secret only its length is shown."""
    if change.act is Act.KEEP:
        return
    old, new, setting = json_object(change.old or "{}"), json_object(change.new or "{}"), catalog.find(change.name)
    if old is None or new is None or setting is None or setting.is_secret:
        yield Line("", described(change.name, change.old), described(change.name, change.new))
        return
    for key in {**old, **new}:
        if old.get(key) != new.get(key):
            yield Line(key, _shown(old.get(key)), _shown(new.get(key)))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
