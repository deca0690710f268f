"""The form of a tenant's brand and senders: read from its settings or a request, checked, and turned into a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailroom.model.json_settings import json_object, merge
from mailroom.model.mailbox import Mailbox
from mailroom.model.parameter_names import brand_names, sender_names
from mailroom_ops.settings import catalog
from mailroom_ops.settings.tenants import TenantSpec

__all__ = ["PURPOSES", "SENDER_KEYS", "SWITCHES", "BrandForm"]

PURPOSES = ("auth", "notification")
SENDER_KEYS = ("from", "reply_to", "providers")
SWITCHES = ("request_context", "code_in_subject", "text_only", "inline_logo")


@dataclass(frozen=True, slots=True)
class BrandForm:
    """The values of the form by field, a key of the brand or `purpose.key` of a sender; an empty one is inherited."""

    tenant: str
    values: Mapping[str, str]

    @classmethod
    def of_settings(cls, tenant: str, parameters: Mapping[str, str]) -> "BrandForm":
        """Return the form filled with what is set for the tenant itself."""
        brand = json_object(parameters.get(f"brands/{tenant}", "{}")) or {}
        values = {key: _text(brand.get(key)) for key in catalog.BRAND_KEYS}
        for purpose in PURPOSES:
            sender = json_object(parameters.get(f"senders/{tenant}/{purpose}", "{}")) or {}
            values |= {f"{purpose}.{key}": _text(sender.get(key)) for key in SENDER_KEYS}
        return cls(tenant, values)

    @classmethod
    def of_request(cls, tenant: str, form: Mapping[str, Sequence[str]]) -> "BrandForm":
        """Return the form as it was submitted, in the browser's line ends."""
        return cls(tenant, {name: form.get(name, [""])[-1].replace("\r\n", "\n").strip() for name in fields()})

    @classmethod
    def inherited(cls, tenant: str, parameters: Mapping[str, str], chain: Sequence[str]) -> "BrandForm":
        """Return what the tenant has where it sets nothing: the settings of `default`, and the chain of the stack."""
        others = {name: value for name, value in parameters.items() if name.split("/")[1:2] != [tenant]}
        brand = merge(brand_names(tenant), others).all_texts()
        values = {key: brand.get(key, "") for key in catalog.BRAND_KEYS}
        own = {name: value for name, value in parameters.items() if name != f"senders/{tenant}/notification"}
        for purpose, settings in (("auth", others), ("notification", own)):
            sender = merge(sender_names(tenant, purpose), settings).values
            values |= {f"{purpose}.{key}": _text(sender.get(key)) for key in SENDER_KEYS}
            values[f"{purpose}.providers"] = values[f"{purpose}.providers"] or ", ".join(chain)
        return cls(tenant, values)

    def problems(self) -> dict[str, str]:
        """Return what is wrong with each field, in a sentence."""
        problems = {key: catalog.brand_fault(key, self.values[key]) for key in catalog.BRAND_KEYS}
        for purpose in PURPOSES:
            for key in ("from", "reply_to"):
                problems[f"{purpose}.{key}"] = _mailbox_fault(self.values[f"{purpose}.{key}"])
        return {name: f"{problem[0].upper()}{problem[1:]}." for name, problem in problems.items() if problem}

    def brand(self, inherited: "BrandForm") -> dict[str, str]:
        """Return the brand as the functions merge it."""
        own = {key: self.values[key] or inherited.values[key] for key in catalog.BRAND_KEYS}
        return {key: value for key, value in own.items() if value}

    def specs(self, current: "BrandForm") -> list[TenantSpec]:
        """Return what is to change, for each sender that differs."""
        brand = {key: self.values[key] for key in catalog.BRAND_KEYS if self.values[key] != current.values[key]}
        specs = [self._spec("auth", current, brand)]
        if any(self._changed(f"notification.{key}", current) for key in SENDER_KEYS):
            specs.append(self._spec("notification", current, {}))
        return specs

    def commands(self, current: "BrandForm", label: str) -> list[str]:
        """Return the command line that does the same, for each sender."""
        return [spec.command(label, with_domain=False) for spec in self.specs(current) if _is_change(spec)]

    def _spec(self, purpose: str, current: "BrandForm", brand: Mapping[str, str]) -> TenantSpec:
        changed = {key: self.values[name] for key in SENDER_KEYS if self._changed(name := f"{purpose}.{key}", current)}
        unset = tuple(key for key, value in changed.items() if not value)
        chain = tuple(name.strip() for name in changed.get("providers", "").split(",") if name.strip())
        return TenantSpec(
            self.tenant,
            changed.get("from", ""),
            purpose,
            changed.get("reply_to", ""),
            chain,
            brand=brand,
            unset=unset,
        )

    def _changed(self, name: str, current: "BrandForm") -> bool:
        return self.values[name] != current.values[name]


def fields() -> list[str]:
    """Return the names of all fields."""
    return [*catalog.BRAND_KEYS, *(f"{purpose}.{key}" for purpose in PURPOSES for key in SENDER_KEYS)]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _mailbox_fault(text: str) -> str:
    try:
        if text:
            Mailbox.parse(text)
    except ValueError as error:
        return f"this is {error}"
    return ""


def _is_change(spec: TenantSpec) -> bool:
    return bool(spec.from_ or spec.reply_to or spec.providers or spec.brand or spec.unset)
