"""The sentences of one mail: those of its event before those of its kind, with the names filled in."""

from collections.abc import Mapping
from dataclasses import dataclass

from mailroom.model.security_events import SecurityEvent
from mailroom.rendering.texts import Texts, fill

__all__ = ["Sentences"]

# The advice of a security notice to a recipient who did not do it; for all other events, to change the password.
ADVICE = {
    SecurityEvent.PASSWORD_CHANGED: "reset",
    SecurityEvent.EMAIL_CHANGED: "contact",
    SecurityEvent.ACCOUNT_DELETED: "contact",
}

CODE_SUBJECTS = ("sign-in-code", "sign-up-code", "mfa-code", "generic-code")  # kinds whose subject announces a code


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences of a kind; `base` is the built-in kind that a tenant's own kind takes them from."""

    texts: Texts
    kind: str
    base: str
    event: SecurityEvent | None
    values: Mapping[str, str]

    def any(self, key: str, **more: str) -> str:
        """Return the sentence of the kind, else the one that all kinds share."""
        sentence = self.texts.of_kind(self.kind, key) or self.texts.sentence(self.base, key)
        return fill(sentence, {**self.values, **more} if more else self.values)

    def own(self, key: str) -> str:
        """Return the sentence of the event or the kind; '' where it has none."""
        of_event = self.texts.of_kind(f"{self.kind}.{self.event}", key) if self.event else ""
        return fill(of_event or self.texts.of_kind(self.kind, key) or self.texts.of_kind(self.base, key), self.values)

    def heading(self, *, has_link_only: bool) -> str:
        return (self.own("link_heading") if has_link_only else "") or self.own("heading")

    def subject(self, *, has_link_only: bool) -> str:
        """Return the subject; that of a mail with a link only announces no code."""
        heading = self.heading(has_link_only=has_link_only)
        if has_link_only and self.base in CODE_SUBJECTS and not self.event:
            names_app = self.values["app"] in heading
            return self.own("link_subject") or (heading if names_app else self._with_app(heading))
        return self._with_app(heading) if self.event else self.own("subject")

    def _with_app(self, heading: str) -> str:
        return fill(self.texts.of_kind("security-notice", "event_subject"), {**self.values, "event": heading})

    def advice(self) -> str:
        """Return what a recipient should do who did not cause the mail."""
        return self.own(ADVICE.get(self.event, "ignore") if self.event else "ignore")

    def invitation(self, *, names_inviter: bool, names_brand: bool) -> str:
        """Return who invites to what; '' for any kind but an invitation."""
        return self.own("invited" + "_by" * names_inviter + "_on" * names_brand)
