"""A sender: who a tenant's mail is from, and its provider chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mailroom.model.domain_groups import MAX_OWN_DOMAINS, is_domain
from mailroom.model.json_settings import InvalidSetting, MergedSettings
from mailroom.model.mailbox import Mailbox

__all__ = [
    "MAX_CODE_LIFETIME_MINUTES",
    "RESCUE_AFTER_SECONDS",
    "Sender",
    "own_domains",
    "provider_chain",
    "read_mailbox",
]


MAX_CODE_LIFETIME_MINUTES = 24 * 60
RESCUE_AFTER_SECONDS = (10, 600)  # the least and the most

_mailbox = lru_cache(maxsize=256)(Mailbox.parse)  # each mail needs the same few


@dataclass(frozen=True, slots=True)
class Sender:
    """From, Reply-To and the provider chain of a tenant and purpose."""

    from_: Mailbox
    reply_to: Mailbox | None = None
    providers: tuple[str, ...] = ()
    default_locale: str = "en"
    code_lifetime: float = 0  # seconds of a code whose source knows no lifetime; 0: the default of the stack
    rescue_after: float = 0  # seconds until an undelivered code goes to the next provider, too; 0: never
    recipient_domains: tuple[str, ...] = ()  # that are counted on their own: see domain_groups.py


def provider_chain(settings: MergedSettings, default: Sequence[str]) -> tuple[str, ...]:
    """Return the providers of a sender in order; `default` where it names none."""
    return settings.texts("providers") or tuple(default)


def own_domains(settings: MergedSettings) -> tuple[str, ...]:
    """Return the receiving domains that a sender counts on their own; those that are unusable are left out.

    Nothing but a table of statistics depends on them: no mail waits because one is misspelled.
    """
    try:
        domains = [domain.lower() for domain in settings.texts("recipient_domains")]
    except InvalidSetting:
        return ()
    return tuple(domain for domain in domains if is_domain(domain))[:MAX_OWN_DOMAINS]


def read_mailbox(settings: MergedSettings, key: str) -> Mailbox | None:
    """Parse a mailbox of a sender; None where it is not set."""
    text = settings.text(key)
    try:
        return _mailbox(text) if text else None
    except ValueError as error:
        raise InvalidSetting(settings.origins[key], f"{key} is {error}") from error
