"""The providers: one module each, whose `PROVIDER` declares its settings and builds an adapter that sends an Email."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Protocol, runtime_checkable

from mailroom.errors import ConfigurationError
from mailroom.model.email import Email
from mailroom.model.provider_ids import clean_id

__all__ = [
    "NAMES",
    "BatchProvider",
    "Provider",
    "ProviderSpec",
    "Receipt",
    "is_configured",
    "kind_of",
    "load",
    "spec_of",
    "warm_up",
]

NAMES = ("resend", "ses", "smtp", "sendgrid", "mailgun", "postmark", "aliyun", "http")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's confirmation that it has a mail.

    `id` is the provider's id of the mail, made printable and cut to a length that an index takes. `wait` is how many
    seconds the provider wants no further request. `repeated` marks a mail that the provider has had since an earlier
    request with the same key; it returns no id then.
    """

    id: str
    wait: float = 0.0
    repeated: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", clean_id(self.id))


class Provider(Protocol):
    """An adapter. One instance per account and process, because it keeps connections open; threads share it."""

    @property
    def name(self) -> str: ...

    @property
    def idempotent(self) -> bool:
        """Whether the provider sends one mail for any number of requests with the same key."""
        ...

    def send(self, email: Email, key: str) -> Receipt:
        """Send one request; raise a DeliveryError without a receipt. `key`: up to 256 ASCII characters, no dot."""
        ...


@runtime_checkable
class BatchProvider(Provider, Protocol):
    """An adapter with a batch request that takes all mails or none; one key stands for exactly these mails."""

    def send_batch(self, emails: Sequence[Email], key: str) -> list[Receipt]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """The declaration of a provider. Settings are names below `providers/{account}/`."""

    create: Callable[[Mapping[str, str], str], Provider]  # from the settings and the name of an account
    required: tuple[str, ...] = ()  # without all of these, an account is not configured
    optional: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # the settings that nobody may see
    batch: bool = False  # whether the adapter is a BatchProvider; a batch never has mails with pictures
    inline_images: bool = False  # whether it sends pictures inside mails; else its mails refer to those on the web
    max_parallel: int = 5  # requests that a process makes at the same time
    domains_page: str = ""  # where operators add a sending domain by hand

    @property
    def settings(self) -> tuple[str, ...]:
        return self.required + self.optional


def kind_of(account: str) -> str:
    """Return the provider of an account: `resend.acme` is a separate account at Resend, with its own settings."""
    return account.partition(".")[0]


def spec_of(account: str) -> ProviderSpec:
    """Return the declaration of an account's provider; imports its module, and its client library, at first use."""
    name = kind_of(account)
    if name not in NAMES:
        raise ConfigurationError("settings", "unknown_provider", f"unknown provider {name!r}: use {', '.join(NAMES)}")
    return _declaration(name)


@cache  # import_module takes a lock and 10 µs, several times a mail
def _declaration(name: str) -> ProviderSpec:
    spec: ProviderSpec = import_module(f"{__name__}.{name}").PROVIDER
    return spec


def is_configured(account: str, values: Mapping[str, str]) -> bool:
    """Return whether an account has all its required settings."""
    return all(values.get(setting) for setting in spec_of(account).required)


def load(account: str, values: Mapping[str, str]) -> Provider:
    """Build the adapter of an account from its settings; raise ConfigurationError if one is missing or malformed."""
    return spec_of(account).create(values, account)


def warm_up(chain: Iterable[str]) -> None:
    """Import the adapters of a chain during the cold start, so that the first mail does not wait for it."""
    for account in chain:
        if kind_of(account) in NAMES:
            spec_of(account)
