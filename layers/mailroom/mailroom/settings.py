"""Settings and secrets of one environment: what the parameters in SSM mean, with the defaults completed."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mailroom.aws.client import Aws
from mailroom.aws.parameter_store import CACHE_TTL_SECONDS, ParameterStore
from mailroom.errors import ConfigurationError, DeliveryError
from mailroom.model.json_settings import InvalidSetting, MergedSettings, merge
from mailroom.model.limits import Limits
from mailroom.model.mailbox import Mailbox
from mailroom.model.parameter_names import (
    ADDRESS_KEY,
    DEFAULT_TENANT,
    brand_names,
    callback_name,
    limit_names,
    sender_names,
    suppression_names,
    template_name,
    tenant_names,
)
from mailroom.model.sender import (
    MAX_CODE_LIFETIME_MINUTES,
    RESCUE_AFTER_SECONDS,
    Sender,
    own_domains,
    provider_chain,
    read_mailbox,
)
from mailroom.model.stored_files import unpack
from mailroom.providers import kind_of, spec_of

if TYPE_CHECKING:
    from mailroom.model.callback import Callback

__all__ = ["SHARED_TEST_SENDER", "Settings"]

SHARED_TEST_SENDER = Mailbox("onboarding@resend.dev")
(DEFAULT_BRAND,) = brand_names(DEFAULT_TENANT)
SETTINGS_OF_MAIL = ("senders/", "brands/", "providers/")


class Settings(ParameterStore):
    """Reads `/mailroom/{environment}/…`; names are relative to it. `chain` is the stack's own provider chain."""

    def __init__(
        self,
        aws: Aws,
        environment: str,
        chain: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
        cache_ttl: float = CACHE_TTL_SECONDS,
    ) -> None:
        super().__init__(aws, f"/mailroom/{environment}/", SETTINGS_OF_MAIL, clock, cache_ttl)
        self._environment = environment
        self.chain = chain

    @classmethod
    def from_env(cls, aws: Aws) -> "Settings":
        chain = tuple(name for part in os.environ.get("PROVIDERS", "").split(",") if (name := part.strip()))
        cache_ttl = float(os.environ.get("SETTINGS_CACHE_SECONDS", CACHE_TTL_SECONDS))  # shorter on a laptop
        return cls(aws, os.environ["ENVIRONMENT"], chain, cache_ttl=cache_ttl)

    def json(self, name: str) -> dict[str, Any]:
        """Return a setting that is a JSON object; empty where it is not set."""
        return dict(self._merged([name]).values)

    def sender(self, tenant: str, purpose: str, organization: str = "") -> Sender:
        """Return the tenant's sender for a purpose, completed by its auth sender and by the default tenant's.

        An organization's own sender has priority; its providers are those of the tenant.
        """
        names = sender_names(tenant, purpose)
        key = ("sender", tenant, purpose, organization)
        return self.derived(key, names, lambda: self._sender(names, organization))

    def _sender(self, names: tuple[str, ...], organization: str) -> Sender:
        settings = self._merged(names)
        try:
            chain = provider_chain(settings, self.chain)
            lifetime = 60 * settings.minutes("code_lifetime_minutes", MAX_CODE_LIFETIME_MINUTES)
            rescue_after = settings.seconds("rescue_after", *RESCUE_AFTER_SECONDS)
            own = own_domains(settings)
            settings = settings.of_organization(organization)
            from_ = read_mailbox(settings, "from") or self._shared_sender(chain)
            reply_to = read_mailbox(settings, "reply_to")
            locale = settings.text("default_locale") or "en"
            return Sender(from_, reply_to, chain, locale, lifetime, rescue_after, own)
        except InvalidSetting as error:
            raise self.malformed(error.name, str(error)) from error

    def brand(self, tenant: str, organization: str = "") -> Mapping[str, str]:
        """Return the tenant's brand, completed by the default tenant's; a switch is "true" or "false".

        What an organization of the tenant has set has priority.
        """
        names = brand_names(tenant)
        return self.derived(("brand", tenant, organization), names, lambda: self._brand(names, organization))

    def _brand(self, names: tuple[str, ...], organization: str) -> Mapping[str, str]:
        merged = self._merged(names)
        brand = merged.of_organization(organization).all_texts()
        if organization and any(brand.get(key) != merged.values.get(key) for key in ("logo_url", "dark_logo_url")):
            brand.pop("inline_logo", None)  # it has a logo of its own, and the tenant's files contain the tenant's
        return brand

    def templates(self, tenant: str) -> Mapping[str, str]:
        """Return a tenant's stored templates and texts by file name; without usable ones, nothing stops its mails.

        They are read only where the tenant's own brand has `stored_templates`, so that no other tenant pays for a call.
        """
        try:
            own_brand = merge([brand_names(tenant)[-1]], self.values(*brand_names(tenant))).all_texts()
            if own_brand.get("stored_templates") != "true":
                return {}
            name = template_name(tenant)
            value = self.values(name).get(name)
            if not value:
                raise self.missing(name)
            return unpack(value)
        except ValueError as error:
            self.report(self.malformed(template_name(tenant), str(error)))
        except ConfigurationError as error:
            self.report(error)
        return {}

    def public_brand(self, tenant: str) -> Mapping[str, str]:
        """Return the brand under a name that a stranger chose: the default one where the name has none of its own.

        It is found in the tree of all brands, so that the name causes no call of its own.
        """
        values = {name: self.lookup("brands", name, is_stranger=name != DEFAULT_BRAND) for name in brand_names(tenant)}
        merged = merge(brand_names(tenant), {name: value for name, value in values.items() if value})
        return {key: value for key, value in merged.values.items() if isinstance(value, str)}

    def limits(self, tenant: str) -> Limits:
        """Return the tenant's limits, completed by the default tenant's; malformed ones are reported, and not in force.

        No mail waits because a limit is malformed.
        """
        names = limit_names(tenant)
        try:
            return self.derived(("limits", tenant), names, lambda: Limits.of(self._merged(names)))
        except InvalidSetting as error:
            self.report(self.malformed(error.name, str(error)))
        except ConfigurationError as error:
            self.report(error)
        return Limits()

    def callback(self, tenant: str) -> "Callback | None":
        """Return the endpoint that gets the tenant's outcome events; None where it has none."""
        name = callback_name(tenant)
        return self.derived(("callback", tenant), (name,), lambda: self._callback(name))

    def _callback(self, name: str) -> "Callback | None":
        if not (values := self.json(name)):
            return None
        from mailroom.model.callback import Callback  # most tenants have none

        try:
            return Callback.of(name, values)
        except InvalidSetting as error:
            raise self.malformed(name, str(error)) from error

    def has_tenant(self, tenant: str) -> bool:
        """Return whether a tenant has a sender or a brand; `prefetch` reads what most tenants have."""
        auth_sender, brand, other_sender = tenant_names(tenant)
        exists = tenant == DEFAULT_TENANT or bool(self.values(auth_sender, brand))
        return exists or self.any_exists(auth_sender, brand, other_sender)

    def provider(self, name: str) -> Mapping[str, str]:
        """Return the settings of a provider account."""
        names = _provider_names(name)
        return self.derived(("provider", name), names, lambda: _last_parts(self.values(*names)))

    def prefetch(self, tenant: str, purpose: str) -> None:
        """Read in one round trip what one mail of this tenant needs, so that a cold start pays for one."""
        self._prefetch(_names_of_mail(tenant, purpose, self.chain))

    def prefetch_report(self, tenant: str) -> None:
        """Read in one round trip what a report about this tenant's mail may need; readers meet a failure themselves."""
        with suppress(DeliveryError):
            self._prefetch((callback_name(tenant), ADDRESS_KEY, *suppression_names(tenant)))

    def _prefetch(self, names: tuple[str, ...]) -> None:
        self.derived(names, names, lambda: self.values(*names))

    def address_key(self) -> str:
        """Return the key that this environment hashes addresses with; create it when it is first needed."""
        return self.derived(ADDRESS_KEY, (ADDRESS_KEY,), self._read_address_key)

    def _read_address_key(self) -> str:
        return self.values(ADDRESS_KEY).get(ADDRESS_KEY) or self.create(ADDRESS_KEY, secrets.token_hex(32))

    def missing(self, name: str) -> ConfigurationError:
        """Return the error for a setting that is not set, with the command that sets it."""
        return ConfigurationError("settings", "missing", f"{name} is not set: {self._command(name)}")

    def malformed(self, name: str, reason: str) -> ConfigurationError:
        return ConfigurationError("settings", "malformed", f"{name} is malformed, {reason}: {self._command(name)}")

    def _command(self, name: str) -> str:
        if name.startswith("templates/"):
            return f"mailroom templates push --tenant {name.partition('/')[2]} --env {self._environment}"
        return f"mailroom secrets set {name} --env {self._environment}"

    def _shared_sender(self, chain: tuple[str, ...]) -> Mailbox:
        if not chain or kind_of(chain[0]) == "resend":
            return SHARED_TEST_SENDER
        raise self.missing("senders/default/auth")

    def _merged(self, names: Sequence[str]) -> MergedSettings:
        settings = merge(names, self.values(*names))
        for name in settings.malformed:
            raise self.malformed(name, "it must be a JSON object")
        return settings


@lru_cache(256)  # each mail needs those of its chain
def _provider_names(name: str) -> tuple[str, ...]:
    return tuple(f"providers/{name}/{key}" for key in spec_of(name).settings)


@lru_cache(1024)
def _names_of_mail(tenant: str, purpose: str, chain: tuple[str, ...]) -> tuple[str, ...]:
    owned = (*sender_names(tenant, purpose), *brand_names(tenant), *limit_names(tenant), callback_name(tenant))
    return (*owned, ADDRESS_KEY, *(name for provider in chain for name in _provider_names(provider)))


def _last_parts(values: Mapping[str, str]) -> dict[str, str]:
    return {name.rpartition("/")[2]: value for name, value in values.items()}
