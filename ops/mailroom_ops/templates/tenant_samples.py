"""The tenants of an environment as previews show them: sender and brand merged as the functions merge them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroom.model.json_settings import InvalidSetting, MergedSettings, merge
from mailroom.model.mailbox import Mailbox
from mailroom.model.parameter_names import DEFAULT_TENANT, brand_names, sender_names, template_name
from mailroom.model.sender import Sender, read_mailbox
from mailroom.model.stored_files import unpack
from mailroom_ops.settings import catalog, tenants

__all__ = ["PLACEHOLDER_SENDER", "TenantSample", "readable_mailbox", "stored_files", "tenant_sample", "tenant_samples"]

PLACEHOLDER_SENDER = Sender(Mailbox("no-reply@mail.example.com"), Mailbox("help@example.com"))


@dataclass(frozen=True, slots=True)
class TenantSample:
    """A tenant whose mails are previewed."""

    name: str
    brand: Mapping[str, str]
    auth: Sender
    notification: Sender
    files: Mapping[str, str] = field(default_factory=dict)  # its stored templates and texts

    def sender(self, purpose: str) -> Sender:
        return self.notification if purpose == "notification" else self.auth

    @property
    def app(self) -> str:
        """The application that its sample mails are about: in most products it has the name of the brand."""
        return self.brand.get("name") or self.auth.from_.name or self.name.title()


def readable_mailbox(mailbox: Mailbox) -> str:
    """Return a mailbox as mail clients show it, without the quotes of the header."""
    return f"{mailbox.name} <{mailbox.address}>" if mailbox.name else mailbox.address


def tenant_samples(values: Mapping[str, str]) -> dict[str, TenantSample]:
    """Return every tenant of an environment by name, `default` first; `values` are its parameters."""
    names = [tenant.name for tenant in tenants.list_tenants(values) if not tenant.removed]
    return {name: tenant_sample(name, values) for name in dict.fromkeys((DEFAULT_TENANT, *names))}


def tenant_sample(name: str, values: Mapping[str, str]) -> TenantSample:
    """Return a tenant; what is malformed or not set is taken from PLACEHOLDER_SENDER, as a preview sends nothing."""
    brand = merge(brand_names(name), values).all_texts()
    auth, notification = (_sender(merge(sender_names(name, use), values)) for use in ("auth", "notification"))
    return TenantSample(name, brand, auth, notification, stored_files(name, values))


def stored_files(name: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Return a tenant's stored templates and texts as the functions use them; none where they cannot be read."""
    own_brand = merge([f"brands/{name}"], values).all_texts()
    if own_brand.get(catalog.STORED_TEMPLATES) != "true":
        return {}
    try:
        return unpack(values.get(template_name(name), ""))
    except ValueError:
        return {}


def _sender(settings: MergedSettings) -> Sender:
    return Sender(
        _mailbox(settings, "from") or PLACEHOLDER_SENDER.from_,
        _mailbox(settings, "reply_to"),
        default_locale=str(settings.values.get("default_locale") or "en"),
    )


def _mailbox(settings: MergedSettings, key: str) -> Mailbox | None:
    try:
        return read_mailbox(settings, key)
    except InvalidSetting:
        return None
