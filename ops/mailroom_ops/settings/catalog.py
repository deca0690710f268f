"""What may stand in the parameter store: every name, whether it is a secret, when it is well formed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from mailroom.errors import ConfigurationError
from mailroom.model.json_settings import InvalidSetting, json_object, merge
from mailroom.model.mailbox import is_address
from mailroom.model.sender import provider_chain, read_mailbox
from mailroom.providers import NAMES, load, spec_of

__all__ = [
    "ACCOUNT",
    "TENANT",
    "Setting",
    "account_fault",
    "fault",
    "find",
    "settings",
    "split",
    "values_of",
    "with_values",
]

TENANT = r"[a-z0-9][a-z0-9-]{0,62}"
# `resend`, or an account of its own at the same provider: `resend.acme`.
ACCOUNT = rf"(?:{'|'.join(NAMES)})(?:\.{TENANT})?"
ASIDE = re.compile(rf"removed/{TENANT}/")
LONGEST = 4096  # bytes, of a parameter in the standard tier
SHORTEST_SECRET = 12
TOKEN = re.compile(r"[\x21-\x7e]+")
PLAIN = re.compile(r"[\x21-\x7e]+( [\x21-\x7e]+)*")
URL = re.compile(r"https://[^\s/?#]+\.[^\s/?#]+\S*")
COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
# What documentation and templates put where a key belongs.
PLACEHOLDER = re.compile(r"x{6,}|<[^>]*>|\bchange[-_ ]?me\b|\byour[-_ ]|\btodo\b|\.\.\.|…", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One kind of parameter. With `many` it may hold one value a line: a new one comes before the old one goes."""

    shape: str
    pattern: re.Pattern[str]
    about: str
    check: Callable[[str], str]
    is_secret: bool = False
    many: bool = False
    ours: bool = False  # made by Mailroom itself


def _secret(value: str) -> str:
    if not TOKEN.fullmatch(value):
        return "it must be one line of plain characters without spaces"
    return _example(value)


def _password(value: str) -> str:
    return "" if value.isascii() and value.isprintable() else "it must be one line of plain characters"


def _example(value: str) -> str:
    return "it is the placeholder of an example" if PLACEHOLDER.search(value) else ""


def _strong(value: str) -> str:
    lines = values_of(value)
    if not lines or not all(map(PLAIN.fullmatch, lines)):
        return "it must be plain characters, one value a line"
    if any(len(line) < SHORTEST_SECRET for line in lines):
        return f"a value of it is shorter than {SHORTEST_SECRET} characters, which can be guessed"
    return next(filter(None, map(_example, lines)), "")


def _api_key(value: str) -> str:
    found = json_object(value) if value.lstrip().startswith("{") else {"key": values_of(value)}
    if found is None or set(found) - {"key", "tenants", "kinds"}:
        return 'it must be a key, or {"key": "…", "tenants": ["acme"], "kinds": ["sign-in-code"]}'
    for scope in ("tenants", "kinds"):
        names = found.get(scope)
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            return f"{scope} must be a list of names"
    return _strong(value)


def _suppression(value: str) -> str:
    found = json_object(value)
    days = [part for part in (found or {}).values() if isinstance(part, dict)]
    sound = all(isinstance(number, int | float) for part in days for number in part.values())
    if found is None or len(days) < len(found) or not sound:
        return 'it must be days by cause and lane, such as {"bounce": {"codes": 7, "notices": 180}}'
    return ""


def _plain(value: str) -> str:
    return "" if value.strip() and value.isprintable() else "it must be one line of text"


def _pem(value: str) -> str:
    return "" if "-----BEGIN CERTIFICATE-----" in value else "it must be a certificate in PEM form"


def _sender(value: str) -> str:
    found = json_object(value)
    if found is None:
        return 'it must be a JSON object, such as {"from": "Acme <no-reply@auth.example.com>"}'
    if unknown := sorted(set(found) - {"from", "reply_to", "providers", "default_locale"}):
        return f"it does not know {', '.join(unknown)}: use from, reply_to, providers, default_locale"
    settings = merge(["sender"], {"sender": value})
    try:
        for key in ("from", "reply_to"):
            read_mailbox(settings, key)
        chain = provider_chain(settings, ())
        settings.text("default_locale")
    except InvalidSetting as error:
        return str(error)
    strange = [name for name in chain if not re.fullmatch(ACCOUNT, name)]
    return f"there is no provider {strange[0]!r}: use {', '.join(NAMES)}" if strange else ""


BRAND: Mapping[str, Callable[[str], bool]] = {
    "name": lambda text: len(text) <= 78,
    "logo_url": lambda text: bool(URL.fullmatch(text)),
    "dark_logo_url": lambda text: bool(URL.fullmatch(text)),
    "color": lambda text: bool(COLOR.fullmatch(text)),
    "company": lambda text: len(text) <= 500,
    "support_url": lambda text: bool(URL.fullmatch(text)),
    "support_email": is_address,
}


def _brand(value: str) -> str:
    found = json_object(value)
    if found is None:
        return 'it must be a JSON object, such as {"name": "Acme", "color": "#0f766e"}'
    if unknown := sorted(set(found) - set(BRAND)):
        return f"it does not know {', '.join(unknown)}: use {', '.join(BRAND)}"
    for key, text in found.items():
        if not isinstance(text, str) or (text and not BRAND[key](text)):
            return f"{key} is not well formed"
    return ""


def _setting(shape: str, about: str, check: Callable[[str], str], **flags: bool) -> Setting:
    pattern = shape.replace(".", r"\.").replace("[", "(?:").replace("]", ")?")
    for field, stands_for in {
        "<tenant>": TENANT,
        "<name>": r"[A-Za-z0-9._-]{1,64}",
        "<provider>": "|".join(NAMES),
    }.items():
        pattern = pattern.replace(field, f"(?:{stands_for})")
    return Setting(shape, re.compile(pattern), about, check, **flags)


@cache
def _provider_settings(provider: str) -> tuple[Setting, ...]:
    spec = spec_of(provider)
    settings = []
    for key in spec.settings:
        check = CHECKS.get(key, _secret if key in spec.secrets else _plain)
        about = f"{provider}: {key.replace('_', ' ')}" + ("" if key in spec.required else ", if need be")
        shape = f"providers/{provider}[.<tenant>]/{key}"
        settings.append(_setting(shape, about, check, is_secret=key in spec.secrets, many=check is _strong))
    return tuple(settings)


# Of provider settings with a form of their own; any other is one line, without spaces if it is a secret.
CHECKS: Mapping[str, Callable[[str], str]] = {
    "ca": _pem,
    "endpoint": _plain,
    "password": _password,
    "secret": _strong,
}
GENERAL_SETTINGS: tuple[Setting, ...] = (
    _setting(
        "webhooks/logto[/<tenant>]/authorization",
        "what Logto sends in its Authorization header",
        _strong,
        is_secret=True,
        many=True,
    ),
    _setting("api/keys/<name>", "a key of the HTTP door of send", _api_key, is_secret=True, many=True),
    _setting("senders/<tenant>/auth", "who auth mail is from, and its provider chain (JSON)", _sender),
    _setting("senders/<tenant>/notification", "who notifications are from, where that differs (JSON)", _sender),
    _setting("brands/<tenant>", "name, logo, colour and company of a tenant (JSON)", _brand),
    _setting(
        "feedback/<provider>[.<tenant>]/secret",
        "what proves that a report is the provider's",
        _strong,
        is_secret=True,
        many=True,
    ),
    _setting(
        "feedback/mailgun[.<tenant>]/signing_key", "what Mailgun signs reports with", _strong, is_secret=True, many=True
    ),
    _setting("suppression/<tenant>", "for how many days a bounce keeps mail back (JSON)", _suppression),
    _setting("ledger/address_key", "what addresses in the ledger are hashed with", _secret, is_secret=True, ours=True),
)


def settings(start: str = "") -> Iterator[Setting]:
    """Yield the kinds of parameters, those of a provider only if `start` may begin their names: each is imported."""
    yield from GENERAL_SETTINGS
    for provider in NAMES:
        if f"providers/{provider}".startswith(start) or start.startswith(f"providers/{provider}"):
            yield from _provider_settings(provider)


def find(name: str) -> Setting | None:
    """Return what kind of parameter a name stands for; what is set aside stays what it was."""
    name = ASIDE.sub("", name)
    return next((setting for setting in settings(name) if setting.pattern.fullmatch(name)), None)


def fault(name: str, value: str) -> str:
    """Tell what is wrong with a value in words that do not contain it; empty if nothing is."""
    setting = find(name)
    if setting is None:
        return "Mailroom does not read a parameter of this name"
    if not value.strip():
        return "it is empty"
    if len(value.encode()) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return setting.check(value)


def account_fault(account: str, values: Mapping[str, str]) -> str:
    """Tell what is wrong with the settings of a provider account as a whole."""
    try:
        required = spec_of(account).required
        missing = [key for key in required if not values.get(key)]
        if missing:
            return f"providers/{account}/{missing[0]} is not set"
        if required:  # SES has none, and its client needs the region of the deployed function
            load(account, values)
    except ConfigurationError as error:
        return error.detail
    return ""


def split(account: str) -> tuple[str, str]:
    """Part an account into its provider and whose it is: `resend.acme` is Acme's own, `resend` everybody's."""
    provider, _, owner = account.partition(".")
    return provider, owner


def values_of(value: str) -> list[str]:
    """Return the values a parameter holds: one a line, or what a JSON object has as its `key`."""
    found = json_object(value) if value.lstrip().startswith("{") else None
    keys = value if found is None else found.get("key")
    lines = [str(key) for key in keys] if isinstance(keys, list) else str(keys or "").splitlines()
    return [line.strip() for line in lines if line.strip()]


def with_values(value: str, values: list[str]) -> str:
    """Return a parameter like `value` that holds other values."""
    found = json_object(value) if value.lstrip().startswith("{") else None
    if found is None:
        return "\n".join(values)
    return json.dumps({**found, "key": values if len(values) > 1 else values[0]})
