"""Names in the parameter store, relative to `/mailroom/{environment}/`."""

from functools import lru_cache

__all__ = [
    "ADDRESS_KEY",
    "DEFAULT_TENANT",
    "brand_names",
    "callback_name",
    "limit_names",
    "sender_names",
    "suppression_names",
    "template_name",
    "tenant_names",
    "webhook_secret",
    "webhook_setting",
]

DEFAULT_TENANT = "default"
ADDRESS_KEY = "ledger/address_key"


@lru_cache(1024)
def sender_names(tenant: str, purpose: str) -> tuple[str, ...]:
    """Name the settings that a sender is merged from: the default's auth sender first, the tenant's own last."""
    owners = (DEFAULT_TENANT, tenant)
    return tuple(dict.fromkeys(f"senders/{owner}/{use}" for owner in owners for use in ("auth", purpose)))


def brand_names(tenant: str) -> tuple[str, ...]:
    """Name the settings that a brand is merged from, the tenant's own last."""
    return _inherited("brands", tenant)


def limit_names(tenant: str) -> tuple[str, ...]:
    """Name the settings that limits are merged from, the tenant's own last."""
    return _inherited("limits", tenant)


def suppression_names(tenant: str) -> tuple[str, ...]:
    """Name the settings that suppression periods are merged from, the tenant's own last."""
    return _inherited("suppression", tenant)


def callback_name(tenant: str) -> str:
    """Name the setting of a tenant's callback. No other tenant's completes it: its events are nobody else's."""
    return f"callbacks/{tenant}"


def template_name(tenant: str) -> str:
    """Name the parameter that contains a tenant's stored templates and texts."""
    return f"templates/{tenant}"


def tenant_names(tenant: str) -> list[str]:
    """Name the settings of which each tenant has at least one."""
    return [f"senders/{tenant}/auth", f"brands/{tenant}", f"senders/{tenant}/notification"]


def webhook_secret(tenant: str) -> str:
    """Name the secret that a tenant's Logto presents to its webhook."""
    return webhook_setting("logto", tenant, "authorization")


def webhook_setting(source: str, tenant: str, name: str) -> str:
    """Name a setting of a source: what authenticates a tenant's auth server."""
    return f"webhooks/{source}/{name}" if tenant == DEFAULT_TENANT else f"webhooks/{source}/{tenant}/{name}"


@lru_cache(1024)
def _inherited(area: str, tenant: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{area}/{owner}" for owner in (DEFAULT_TENANT, tenant)))
