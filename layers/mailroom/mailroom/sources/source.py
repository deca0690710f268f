"""The parts of every source: its declaration, the settings of a tenant, and the mapping of a request to a Message."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailroom import untrusted
from mailroom.errors import ConfigurationError, RequestError
from mailroom.model.content import Content
from mailroom.model.kinds import NAME, NOTICE_LIFETIME_SECONDS, Lane, lane_of
from mailroom.model.mailbox import is_address
from mailroom.model.message import SAME_WITHIN_SECONDS, Message, content_identity, id_of, new_id
from mailroom.model.parameter_names import DEFAULT_TENANT, webhook_setting
from mailroom.request import Request
from mailroom.settings import Settings
from mailroom.webhooks.authentication import UNGUESSABLE, Unauthenticated

__all__ = ["Credentials", "Source", "VerifiedRequest"]

MAX_AHEAD_SECONDS = 24 * 3600.0  # of a source's time; what is further ahead is not a time of its mail
MAX_LIFETIME_SECONDS = 7 * 24 * 3600.0
KEY_SECONDS = 24 * 3600.0  # for which requests with the same key and without a time of the source are one mail
MAX_LOCALES = 20
CODE_LIFETIME = "code_lifetime_minutes"  # an optional setting of sources that do not state the lifetime of a code
MINUTES = re.compile(r"[1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440", re.ASCII)
MAX_IP_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Credentials:
    """The settings of one tenant of a source, as far as they are set."""

    source: str
    tenant: str
    values: Mapping[str, str]

    def lines(self, name: str) -> list[str]:
        """Return the values of a setting, one a line; where it is not set, one that nobody can present."""
        return self.if_set(name) or [UNGUESSABLE]

    def if_set(self, name: str) -> list[str]:
        """Return the values of a setting, one a line; none where it is not set."""
        return [line.strip() for line in self.values.get(name, "").splitlines() if line.strip()]

    def parameter(self, name: str) -> str:
        """Return the name of a setting's parameter."""
        return webhook_setting(self.source, self.tenant, name)

    def malformed(self, name: str, problem: str) -> ConfigurationError:
        """Return the error for a setting of the wrong form, such as `must be a JSON object`."""
        return ConfigurationError("settings", "malformed", f"{self.parameter(name)} {problem}")


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request that is proven to come from a tenant's auth server; `claims` are those of its token, if it has one."""

    request: Request
    source: str
    tenant: str
    claims: Mapping[str, Any]
    code_lifetime: float

    def json_object(self) -> dict[str, Any]:
        """Return the JSON object in the body; raise a RequestError for anything else."""
        body = self.request.json()
        if not isinstance(body, dict):
            raise RequestError(422, "The request is not a JSON object.")
        return body

    def message(
        self,
        kind: str,
        to: Any,
        data: Mapping[str, Any],
        *,
        key: str = "",
        created_at: float | None = None,
        expires_at: float | None = None,
        locales: Iterable[Any] = (),
        brand: Mapping[str, str] = {},
        client_ip: Any = "",
        content: Content | None = None,
    ) -> Message:
        """Return a Message; raise a RequestError if its recipient, code or link is invalid.

        `key` identifies the mail over all requests that the source makes about it; it must not be guessable from the
        mail. With `created_at`, which is then the same in all of them as well, they become one message, for as long as
        the ledger keeps it. Without, they are one within a day; those without a key, if of one content, within a
        minute. With `content` it is a rendered message, which only the rendered function can queue.
        """
        if not (isinstance(to, str) and is_address(to)):
            raise RequestError(422, "The recipient is not a single valid email address.")
        data = {**data, **_code_and_link(data)}
        if created_at is not None and not 0 < created_at <= self.request.received_at + MAX_AHEAD_SECONDS:
            created_at = None
        has_id = bool(key) and created_at is not None
        # A time in the future is that of a clock that runs ahead.
        created = min(created_at or self.request.received_at, self.request.received_at)
        lane = lane_of(kind, data, is_rendered=content is not None)
        lifetime = self.code_lifetime if lane is Lane.CODES else NOTICE_LIFETIME_SECONDS
        expires = created + lifetime if expires_at is None else min(expires_at, created + MAX_LIFETIME_SECONDS)
        parts = (self.source, self.tenant, key, kind, to.lower())
        return Message(
            id=id_of(created_at or 0.0, *parts) if has_id else new_id(),
            tenant=self.tenant,
            kind=kind,
            to=to,
            data=data,
            created_at=created,
            expires_at=expires,
            source=self.source,
            locales=tuple(dict.fromkeys(_tags(locales))),
            brand=brand,
            identity="\n".join(parts) if key else content_identity(self.tenant, to, kind, _parts(content) or data),
            identity_seconds=KEY_SECONDS if key and not has_id else SAME_WITHIN_SECONDS,
            client_ip=client_ip if isinstance(client_ip, str) and len(client_ip) <= MAX_IP_LENGTH else "",
            content=content,
            has_default_lifetime=lane is Lane.CODES and expires_at is None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The declaration of a source.

    The settings are names below `webhooks/{name}[/{tenant}]/`, each with its meaning for an operator. All of `required`
    must be set for a tenant to exist. `secrets` are those that nobody may see.

    `verify` raises Unauthenticated unless the request is proven to come from the tenant's auth server. `parse` returns
    the messages of a request: none if the auth server sends this mail itself.
    """

    name: str
    required: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    verify: Callable[[Request, Credentials], Mapping[str, Any]]
    parse: Callable[[VerifiedRequest], Sequence[Message]]
    answer: Mapping[str, Any] | None = None  # the JSON body of a 200 that the auth server insists on
    keys_url: Callable[[Mapping[str, str]], str] | None = None  # where the key set in the setting `keys` comes from

    def authenticate(self, request: Request, settings: Settings, code_lifetime: float) -> VerifiedRequest:
        """Return the request with its tenant; refuse one that is not proven to come from the tenant's auth server.

        An unknown tenant is answered like a wrong secret, after the same work, so that nobody can list tenants.
        """
        tenant = request.path.get("tenant", DEFAULT_TENANT)
        credentials = Credentials(self.name, tenant, self._settings_of(tenant, settings))
        missing = [credentials.parameter(name) for name in self.required if not credentials.if_set(name)]
        if missing and tenant == DEFAULT_TENANT:
            raise settings.missing(missing[0])
        try:
            claims = self.verify(request, credentials)
        except Unauthenticated as error:
            if not missing:
                raise
            raise Unauthenticated(f"{missing[0]} is not set", error.sentence) from error
        if missing:
            raise Unauthenticated(f"{missing[0]} is not set")
        return VerifiedRequest(request, self.name, tenant, claims, _lifetime(credentials) or code_lifetime)

    def reply(self, messages: Sequence[Message]) -> Mapping[str, Any]:
        """Return the JSON body of the 200 for these messages."""
        if self.answer is not None:
            return self.answer
        match [message.id for message in messages]:
            case []:
                return {"status": "skipped"}
            case [id_]:
                return {"message_id": id_, "status": "accepted"}
            case ids:
                return {"message_ids": ids, "status": "accepted"}

    def _settings_of(self, tenant: str, settings: Settings) -> dict[str, str]:
        if not NAME.fullmatch(tenant):
            return {}
        path, values = f"webhooks/{self.name}", dict[str, str]()
        for name in self.required:  # one that is missing ends it: a stranger's tenant costs one lookup, not several
            values[name] = settings.lookup(path, webhook_setting(self.name, tenant, name))
            if not values[name].strip():
                return {name: value for name, value in values.items() if value.strip()}
        for name in self.optional:
            values[name] = settings.lookup(path, webhook_setting(self.name, tenant, name), is_stranger=False)
        return {name: value for name, value in values.items() if value.strip()}


def _parts(content: Content | None) -> dict[str, str]:
    return {"subject": content.subject, "html": content.html, "text": content.text} if content else {}


def _lifetime(credentials: Credentials) -> float:
    """Return the lifetime of codes in seconds that a source has a setting for; 0 where it is not set."""
    minutes = credentials.if_set(CODE_LIFETIME)
    if not minutes:
        return 0.0
    if not MINUTES.fullmatch(minutes[0]):
        raise credentials.malformed(CODE_LIFETIME, "must be a number of minutes, from 1 to 1440")
    return int(minutes[0]) * 60.0


def _code_and_link(data: Mapping[str, Any]) -> dict[str, str | None]:
    """Return code and link, validated, because the recipient acts on them."""
    code, link = data.get("code"), data.get("link")
    if isinstance(code, int) and not isinstance(code, bool):
        code = str(code)
    if code is not None and not (isinstance(code, str) and len(code) <= untrusted.CODE_LENGTH and code.isprintable()):
        raise RequestError(422, "The code is not a short text.")
    if link not in (None, "") and not untrusted.link(link):
        raise RequestError(422, "The link is not a valid http or https address.")
    return {"code": code or None, "link": link or None}


def _tags(locales: Iterable[Any]) -> list[str]:
    texts = [tag for tag in locales if isinstance(tag, str)]
    return [tag for tag in texts[:MAX_LOCALES] if untrusted.LOCALE_TAG.fullmatch(tag)]
