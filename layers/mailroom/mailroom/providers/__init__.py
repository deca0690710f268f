"""The ways out: one file each, a class that takes an Email and either returns a Receipt or raises a SendError."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, runtime_checkable

from mailroom.errors import ConfigurationError
from mailroom.model.email import Email

__all__ = [
    "NEEDS",
    "BatchProvider",
    "Needs",
    "Provider",
    "Receipt",
    "is_configured",
    "kind_of",
    "load",
    "needs",
    "warm_up",
]

MAX_ID_LENGTH = 512  # characters, so at most 2,048 bytes: the longest key that DynamoDB takes


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
        if len(self.id) > MAX_ID_LENGTH or not self.id.isprintable():
            object.__setattr__(self, "id", "".join(filter(str.isprintable, self.id))[:MAX_ID_LENGTH])


class Provider(Protocol):
    """An adapter that sends. Built once per process by `from_settings`, so that its connection is kept."""

    @property
    def name(self) -> str: ...

    @property
    def idempotent(self) -> bool:
        """Whether the same key twice is one mail."""
        ...

    def send(self, email: Email, key: str) -> Receipt:
        """Send once. `key` names this mail: up to 256 ASCII characters, no dot."""
        ...


@runtime_checkable
class BatchProvider(Provider, Protocol):
    """An adapter that can send many in one request, all or none; one key stands for exactly these."""

    def send_batch(self, emails: Sequence[Email], key: str) -> list[Receipt]: ...


@dataclass(frozen=True, slots=True)
class Needs:
    """Which settings under `providers/{name}/` an adapter reads; without all of `required` it is not configured."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


NEEDS: Mapping[str, Needs] = {
    "resend": Needs(required=("api_key",), optional=("endpoint",)),
    "ses": Needs(optional=("region", "configuration_set", "endpoint")),  # IAM is the key
    "smtp": Needs(
        required=("host",),
        optional=("port", "username", "password", "tls", "ca", "ehlo_name", "configuration_set"),
    ),
    "sendgrid": Needs(required=("api_key",), optional=("endpoint",)),
    "mailgun": Needs(required=("api_key",), optional=("domain", "endpoint")),
    "postmark": Needs(required=("server_token",), optional=("message_stream", "endpoint")),
    "aliyun": Needs(required=("access_key_id", "access_key_secret"), optional=("region", "tag_name", "endpoint")),
    "http": Needs(required=("endpoint", "secret")),
}


def is_configured(name: str, values: Mapping[str, str]) -> bool:
    """Tell whether the operator has given this provider what it cannot work without."""
    return all(values.get(key) for key in needs(name).required)


def kind_of(name: str) -> str:
    """Return which adapter an account uses: `resend.acme` is an account of its own at Resend, with its own settings."""
    return name.partition(".")[0]


def needs(name: str) -> Needs:
    if kind_of(name) not in NEEDS:
        raise ConfigurationError("settings", "unknown_provider", f"unknown provider {name!r}: use {', '.join(NEEDS)}")
    return NEEDS[kind_of(name)]


def warm_up(chain: Iterable[str]) -> None:
    """Import the adapters of a chain while the process starts, and not while the reader of its first mail waits."""
    for name in chain:
        if kind_of(name) in NEEDS:
            import_module(f"{__name__}.{kind_of(name)}")


def load(name: str, values: Mapping[str, str]) -> Provider:
    """Return the named provider; only its own module and client library are imported."""
    match kind_of(name):
        case "resend":
            from mailroom.providers.resend import Resend

            return Resend.from_settings(values)
        case "ses":
            from mailroom.providers.ses import Ses

            return Ses.from_settings(values)
        case "smtp":
            from mailroom.providers.smtp import Smtp

            return Smtp.from_settings(values)
        case "sendgrid":
            from mailroom.providers.sendgrid import SendGrid

            return SendGrid.from_settings(values)
        case "mailgun":
            from mailroom.providers.mailgun import Mailgun

            return Mailgun.from_settings(values)
        case "postmark":
            from mailroom.providers.postmark import Postmark

            return Postmark.from_settings(values)
        case "aliyun":
            from mailroom.providers.aliyun import Aliyun

            return Aliyun.from_settings(values)
        case "http":
            from mailroom.providers.http import Http

            return Http.from_settings(values)
    raise ConfigurationError("settings", "unknown_provider", f"unknown provider {name!r}: use {', '.join(NEEDS)}")
