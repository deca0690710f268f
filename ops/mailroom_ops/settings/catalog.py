"""The catalog of parameters: every name, whether it is a secret, and the check of its value."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from mailroom.errors import ConfigurationError
from mailroom.model.callback import Callback
from mailroom.model.domain_groups import MAX_OWN_DOMAINS, OTHER, group_of, is_domain
from mailroom.model.json_settings import InvalidSetting, json_object, merge
from mailroom.model.limits import Limits
from mailroom.model.mailbox import is_address
from mailroom.model.sender import MAX_CODE_LIFETIME_MINUTES, RESCUE_AFTER_SECONDS, provider_chain, read_mailbox
from mailroom.model.stored_files import unpack
from mailroom.providers import NAMES, load, spec_of
from mailroom.rendering.link_page import LinkPage, host_rules
from mailroom.sources import registry
from mailroom.webhooks.json_web_signatures import MalformedKeys, compact_keys

__all__ = [
    "ACCOUNT",
    "BRAND_KEYS",
    "MAX_ADVANCED_BYTES",
    "STORED_TEMPLATES",
    "TENANT",
    "Setting",
    "account_fault",
    "brand_fault",
    "fault",
    "find",
    "settings",
    "split_account",
    "values_of",
    "with_values",
]

TENANT = r"[a-z0-9][a-z0-9-]{0,62}"
# `resend`, or a tenant's dedicated account at the same provider: `resend.acme`.
ACCOUNT = rf"(?:{'|'.join(NAMES)})(?:\.{TENANT})?"
REMOVED = re.compile(rf"removed/{TENANT}/")
MAX_BYTES = 4096  # of a parameter in the standard tier
MAX_ADVANCED_BYTES = 8192  # which costs 5 cents a month: https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
MIN_SECRET_LENGTH = 12
TOKEN = re.compile(r"[\x21-\x7e]+")
PLAIN = re.compile(r"[\x21-\x7e]+( [\x21-\x7e]+)*")
SENDER_KEYS = (
    "from",
    "reply_to",
    "providers",
    "default_locale",
    "code_lifetime_minutes",
    "rescue_after",
    "recipient_domains",
    "organizations",
)
URL = re.compile(r"https://[^\s/?#]+\.[^\s/?#]+\S*")
COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
# What documentation and templates contain where a key belongs.
PLACEHOLDER = re.compile(r"x{6,}|<[^>]*>|\bchange[-_ ]?me\b|\byour[-_ ]|\btodo\b|\.\.\.|…", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """One kind of parameter. With `is_rotatable` it may hold two values, one a line, while it is being rotated."""

    shape: str
    pattern: re.Pattern[str]
    about: str
    check: Callable[[str], str]
    is_secret: bool = False
    is_rotatable: bool = False
    is_generated: bool = False  # by a function, once
    max_bytes: int = MAX_BYTES


def _secret(value: str) -> str:
    if not TOKEN.fullmatch(value):
        return "it must be one line of plain characters without spaces"
    return _placeholder(value)


def _password(value: str) -> str:
    return "" if value.isascii() and value.isprintable() else "it must be one line of plain characters"


def _placeholder(value: str) -> str:
    return "it is the placeholder of an example" if PLACEHOLDER.search(value) else ""


def _strong(value: str) -> str:
    lines = values_of(value)
    if not lines or not all(map(PLAIN.fullmatch, lines)):
        return "it must be plain characters, one value a line"
    if any(len(line) < MIN_SECRET_LENGTH for line in lines):
        return f"a value is shorter than {MIN_SECRET_LENGTH} characters and can be guessed"
    return next(filter(None, map(_placeholder, lines)), "")


def _api_key(value: str) -> str:
    content = json_object(value) if value.lstrip().startswith("{") else {"key": values_of(value)}
    if content is None or set(content) - {"key", "tenants", "kinds"}:
        return 'it must be a key, or {"key": "…", "tenants": ["acme"], "kinds": ["sign-in-code"]}'
    for scope in ("tenants", "kinds"):
        names = content.get(scope)
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            return f"{scope} must be a list of names"
    return _strong(value)


def _suppression(value: str) -> str:
    content = json_object(value)
    days = [part for part in (content or {}).values() if isinstance(part, dict)]
    are_numbers = all(isinstance(number, int | float) for part in days for number in part.values())
    if content is None or len(days) < len(content) or not are_numbers:
        return 'it must be days by cause and lane, such as {"bounce": {"codes": 7, "notices": 180}}'
    return ""


def _plain(value: str) -> str:
    return "" if value.strip() and value.isprintable() else "it must be one line of text"


def _oauth(value: str) -> str:
    from mailroom.providers._smtp_oauth import OAuthClient

    try:
        OAuthClient.parse(value, "smtp")
    except ConfigurationError as error:
        return "it " + error.detail.partition(" ")[2]
    return _placeholder(value)


def _pem(value: str) -> str:
    return "" if "-----BEGIN CERTIFICATE-----" in value else "it must be a certificate in PEM form"


def _lines(value: str) -> str:
    return (
        "" if value.strip() and all(map(str.isprintable, value.splitlines())) else "it must be text, one value a line"
    )


def _minutes(value: str) -> str:
    is_valid = re.fullmatch(r"[1-9][0-9]{0,3}", value, re.ASCII) and int(value) <= 24 * 60
    return "" if is_valid else "it must be a number of minutes, from 1 to 1440"


def _key_set(value: str) -> str:
    try:
        compact_keys(value)
    except MalformedKeys as error:
        return f"it {error}"
    return ""


def _sender(value: str) -> str:
    content = json_object(value)
    if content is None:
        return 'it must be a JSON object, such as {"from": "Acme <no-reply@auth.example.com>"}'
    if unknown := sorted(set(content) - set(SENDER_KEYS)):
        return f"it contains the unknown key {unknown[0]}: use {', '.join(SENDER_KEYS)}"
    settings = merge(["sender"], {"sender": value})
    organizations, problem = _organizations(content, ("from", "reply_to", "default_locale"))
    if problem:
        return problem
    try:
        chain = provider_chain(settings, ())
        settings.minutes("code_lifetime_minutes", MAX_CODE_LIFETIME_MINUTES)
        settings.seconds("rescue_after", *RESCUE_AFTER_SECONDS)
        if problem := _domains(settings.texts("recipient_domains")):
            return problem
        for scope in (settings, *map(settings.of_organization, organizations)):
            for key in ("from", "reply_to"):
                read_mailbox(scope, key)
            scope.text("default_locale")
    except InvalidSetting as error:
        return str(error)
    unknown = [name for name in chain if not re.fullmatch(ACCOUNT, name)]
    return f"there is no provider {unknown[0]!r}: use {', '.join(NAMES)}" if unknown else ""


def _domains(domains: Sequence[str]) -> str:
    """Return the problem with the receiving domains that a sender counts on their own, if there is one."""
    if len(domains) > MAX_OWN_DOMAINS:
        return f"recipient_domains has {len(domains)} entries: {MAX_OWN_DOMAINS} are counted on their own"
    for domain in domains:
        if not is_domain(domain.lower()):
            return f"recipient_domains contains {domain!r}: it must be a domain, such as acme.example"
        if group_of(f"@{domain}") != OTHER:
            return f"recipient_domains contains {domain}: it belongs to the group {group_of(f'@{domain}')} already"
    return ""


def _organizations(content: Mapping[str, Any], keys: Collection[str]) -> tuple[Mapping[str, Any], str]:
    """Return what a setting contains for organizations by their ids, and the problem if it is not of that form."""
    organizations = content.get("organizations", {})
    if not isinstance(organizations, dict) or not all(isinstance(own, dict) for own in organizations.values()):
        return {}, 'organizations must be an object of ids and objects, such as {"org_1": {…}}'
    unknown = sorted({key for own in organizations.values() for key in own} - set(keys))
    return (
        organizations,
        f"organizations contains the unknown key {unknown[0]}: use {', '.join(keys)}" if unknown else "",
    )


def _is_url(text: str) -> bool:
    return bool(URL.fullmatch(text))


def _is_logo(text: str) -> bool:
    return _is_url(text) and not text.partition("?")[0].lower().endswith((".svg", ".svgz"))


def _is_link_page(text: str) -> bool:
    return LinkPage.of({"link_page": text}, "default") is not None


def _are_hosts(text: str) -> bool:
    words = [word for word in re.split(r"[,\s]+", text) if word]
    return bool(words) and len(host_rules(text)) == len(words)


def _is_switch(text: str) -> bool:
    return text in ("true", "false")


# The check of each key, and the form that it demands.
LOGO = "an https address of a PNG, JPEG or GIF: Gmail shows no SVG"
SWITCH = "true or false"
BRAND: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "name": (lambda text: len(text) <= 78, "a text of up to 78 characters"),
    "logo_url": (_is_logo, LOGO),
    "dark_logo_url": (_is_logo, LOGO),
    "color": (lambda text: bool(COLOR.fullmatch(text)), "a color such as #0f766e"),
    "company": (lambda text: len(text) <= 500, "a text of up to 500 characters"),
    "support_url": (_is_url, "an https address"),
    "support_email": (is_address, "an email address"),
    "account_url": (_is_url, "an https address"),
    "request_context": (_is_switch, SWITCH),
    "code_in_subject": (_is_switch, SWITCH),
    "text_only": (_is_switch, SWITCH),
    "inline_logo": (_is_switch, SWITCH),
    "link_page": (
        _is_link_page,
        "the https address of the link page, without the tenant: the stack's output LinkPageUrl",
    ),
    "link_hosts": (_are_hosts, "hosts with commas between them, such as app.example.com, *.auth.example.com"),
}
OF_TENANTS_ONLY = ("link_page", "link_hosts")  # the page of a tenant knows no organization
BRAND_KEYS = tuple(BRAND)
STORED_TEMPLATES = "stored_templates"  # written by `mailroom templates push`


def _brand(value: str) -> str:
    content = json_object(value)
    if content is None:
        return 'it must be a JSON object, such as {"name": "Acme", "color": "#0f766e"}'
    if unknown := sorted(set(content) - {*BRAND, STORED_TEMPLATES, "organizations"}):
        return f"it contains the unknown key {unknown[0]}: use {', '.join(BRAND)}, organizations"
    organizations, problem = _organizations(content, tuple(key for key in BRAND if key not in OF_TENANTS_ONLY))
    if problem:
        return problem
    own = (pair for values in organizations.values() for pair in values.items())
    for key, text in (*((key, text) for key, text in content.items() if key != "organizations"), *own):
        if fault := brand_fault(key, text):
            return fault
    return ""


def brand_fault(key: str, value: Any) -> str:
    """Return what is wrong with one key of a brand; empty if it is valid, or not set."""
    is_valid, form = (_is_switch, SWITCH) if key == STORED_TEMPLATES else BRAND[key]
    text = str(value).lower() if isinstance(value, bool) else value
    return f"{key} must be {form}" if not isinstance(text, str) or (text and not is_valid(text)) else ""


def _templates(value: str) -> str:
    from mailroom.rendering.tenant_templates import TenantTemplates

    try:
        problems = TenantTemplates.of(unpack(value)).problems
    except ValueError as error:
        return str(error)
    return problems[0] if problems else ""


def _limits(value: str) -> str:
    content, names = json_object(value), [field.name for field in fields(Limits)]
    if content is None:
        return f'it must be a JSON object, such as {{"{names[0]}": 10}}'
    if unknown := sorted(set(content) - set(names)):
        return f"it contains the unknown key {unknown[0]}: use {', '.join(names)}"
    try:
        Limits.of(merge(["limits"], {"limits": value}))
    except InvalidSetting as error:
        return str(error)
    return ""


def _callback(value: str) -> str:
    content = json_object(value)
    if content is None:
        return 'it must be a JSON object, such as {"url": "https://…", "secrets": ["whsec_…"]}'
    try:
        Callback.of("callbacks", content)
    except InvalidSetting as error:
        return str(error)
    return ""


def _setting(
    shape: str, about: str, check: Callable[[str], str], *, max_bytes: int = MAX_BYTES, **flags: bool
) -> Setting:
    pattern = shape.replace(".", r"\.").replace("[", "(?:").replace("]", ")?")
    for field, stands_for in {
        "<tenant>": TENANT,
        "<name>": r"[A-Za-z0-9._-]{1,64}",
        "<provider>": "|".join(NAMES),
    }.items():
        pattern = pattern.replace(field, f"(?:{stands_for})")
    return Setting(shape, re.compile(pattern), about, check, max_bytes=max_bytes, **flags)


@cache
def _provider_settings(provider: str) -> tuple[Setting, ...]:
    spec = spec_of(provider)
    settings = []
    for key in spec.settings:
        check = CHECKS.get(key, _secret if key in spec.secrets else _plain)
        about = f"{provider}: {VALUES.get(f'{provider}/{key}', key.replace('_', ' '))}"
        about += "" if key in spec.required else " (optional)"
        shape = f"providers/{provider}[.<tenant>]/{key}"
        settings.append(_setting(shape, about, check, is_secret=key in spec.secrets, is_rotatable=check is _strong))
    return tuple(settings)


SOURCES = (*registry.NAMES, *registry.SEALED)


def _fields(value: str) -> str:
    from mailroom.sources.rendered import FIELDS, field_map

    form = f'a JSON object such as {{"html": "content"}}, with some of {", ".join(FIELDS)}'
    return f"it must be {form}" if field_map(value) is None else ""


@cache
def _source_settings(name: str) -> tuple[Setting, ...]:
    source = registry.load(name, SOURCES)
    settings = []
    for key, about in {**source.required, **source.optional}.items():
        is_secret = key in source.secrets
        check = _strong if is_secret else SOURCE_CHECKS.get(key, _plain)
        shape = f"webhooks/{name}[/<tenant>]/{key}"
        settings.append(_setting(shape, about, check, is_secret=is_secret, is_rotatable=is_secret))
    return tuple(settings)


# The settings of sources that are no secrets and have a special form; any other is one line of text.
SOURCE_CHECKS: Mapping[str, Callable[[str], str]] = {
    "keys": _key_set,
    "audience": _lines,
    "code_lifetime_minutes": _minutes,
    "fields": _fields,
}
# The provider settings of a special form; any other is one line, without spaces if it is a secret.
CHECKS: Mapping[str, Callable[[str], str]] = {
    "ca": _pem,
    "endpoint": _plain,
    "oauth": _oauth,
    "password": _password,
    "secret": _strong,
}
# The values of provider settings whose name does not explain them.
VALUES: Mapping[str, str] = {
    "ses/region": "region, such as eu-west-1; else the stack's",
    "ses/endpoint_id": "id of a multi-region endpoint, such as abc123.456def",
    "smtp/port": "port; 587 by default, 465 with implicit TLS",
    "smtp/oauth": "OAuth client in place of the password (JSON)",
    "smtp/tls": "starttls, implicit, opportunistic or none",
    "smtp/ca": "certificate of your own authority, in PEM form",
    "smtp/ehlo_name": "name in EHLO; the sender's domain by default",
}
GENERAL_SETTINGS: tuple[Setting, ...] = (
    _setting("api/keys/<name>", "an API key of POST /v1/emails", _api_key, is_secret=True, is_rotatable=True),
    _setting("senders/<tenant>/auth", "sender of auth mail: from, reply_to, providers (JSON)", _sender),
    _setting("senders/<tenant>/notification", "sender of notifications, where it differs (JSON)", _sender),
    _setting("brands/<tenant>", "name, logo, color and company of a tenant (JSON)", _brand),
    _setting(
        "templates/<tenant>",
        "a tenant's own templates and texts, written by `mailroom templates push`",
        _templates,
        max_bytes=MAX_ADVANCED_BYTES,
    ),
    _setting("limits/<tenant>", "codes in ten minutes, per recipient, kind and client (JSON)", _limits),
    _setting("callbacks/<tenant>", "endpoint of a tenant's outcome events (JSON)", _callback, is_secret=True),
    _setting(
        "feedback/<provider>[.<tenant>]/secret",
        "authenticates the provider's events",
        _strong,
        is_secret=True,
        is_rotatable=True,
    ),
    _setting(
        "feedback/mailgun[.<tenant>]/signing_key",
        "verifies the signatures of Mailgun's events",
        _strong,
        is_secret=True,
        is_rotatable=True,
    ),
    _setting("suppression/<tenant>", "suppression periods in days, by cause and lane (JSON)", _suppression),
    _setting(
        "ledger/address_key",
        "the key of the ledger's address hashes",
        _secret,
        is_secret=True,
        is_generated=True,
    ),
)


def settings(start: str = "") -> Iterator[Setting]:
    """Yield the kinds of parameters; those of a source or provider, which import it, only if `start` can be one's."""
    for source in SOURCES:
        if f"webhooks/{source}".startswith(start) or start.startswith(f"webhooks/{source}"):
            yield from _source_settings(source)
    yield from GENERAL_SETTINGS
    for provider in NAMES:
        if f"providers/{provider}".startswith(start) or start.startswith(f"providers/{provider}"):
            yield from _provider_settings(provider)


def find(name: str) -> Setting | None:
    """Return the kind of a parameter; one of a removed tenant keeps its kind."""
    name = REMOVED.sub("", name)
    return next((setting for setting in settings(name) if setting.pattern.fullmatch(name)), None)


def fault(name: str, value: str) -> str:
    """Return what is wrong with a value, without quoting it; empty for a valid value."""
    setting = find(name)
    if setting is None:
        return "Mailroom does not read a parameter of this name"
    if not value.strip():
        return "it is empty"
    if len(value.encode()) > setting.max_bytes:
        return f"it is longer than {setting.max_bytes} bytes"
    return setting.check(value)


def account_fault(account: str, values: Mapping[str, str]) -> str:
    """Return what is wrong with the settings of a provider account as a whole; empty if it is usable."""
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


def split_account(account: str) -> tuple[str, str]:
    """Return the provider and the owner of an account: `resend.acme` is Acme's own, `resend` has no owner."""
    provider, _, owner = account.partition(".")
    return provider, owner


def values_of(value: str) -> list[str]:
    """Return the values of a parameter: one a line, or those of the `key` of a JSON object."""
    content = json_object(value) if value.lstrip().startswith("{") else None
    keys = value if content is None else content.get("key")
    lines = [str(key) for key in keys] if isinstance(keys, list) else str(keys or "").splitlines()
    return [line.strip() for line in lines if line.strip()]


def with_values(value: str, values: list[str]) -> str:
    """Return a parameter in the form of `value` with other values."""
    content = json_object(value) if value.lstrip().startswith("{") else None
    if content is None:
        return "\n".join(values)
    return json.dumps({**content, "key": values if len(values) > 1 else values[0]})
