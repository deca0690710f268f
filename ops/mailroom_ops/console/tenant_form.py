"""The form that adds a tenant: the plan of `mailroom tenant add`, then its parameters, and its domain at providers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from mailroom_ops.console.context import PageContext, last_value, redirect
from mailroom_ops.console.plan import Plan
from mailroom_ops.domains import sending
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import tenants
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.settings.tenants import TenantSpec
from mailroom_ops.web.server import Response

__all__ = ["add", "show"]

PATH = "/console/senders"
FIELDS = ("name", "from", "reply_to", "providers", "color", "logo_url")


@dataclass(frozen=True, slots=True)
class TenantForm:
    """The fields of the form, and whether the domain is registered with the providers."""

    values: Mapping[str, str]
    registers: bool

    @classmethod
    def of(cls, form: Mapping[str, Sequence[str]]) -> "TenantForm":
        return cls({name: last_value(form, name) for name in FIELDS}, "register" in form)

    @property
    def spec(self) -> TenantSpec:
        values = self.values
        chain = tuple(name.strip() for name in values["providers"].split(",") if name.strip())
        brand = {key: values[key] for key in ("color", "logo_url") if values[key]}
        return TenantSpec(values["name"], values["from"], "auth", values["reply_to"], chain, brand=brand)

    @property
    def domain(self) -> str:
        return tenants.domain_of(self.values["from"]) if self.registers else ""

    @property
    def query(self) -> str:
        return urlencode({"add": "1", **self.values, **({"register": "1"} if self.registers else {})})


def show(context: PageContext, form: Mapping[str, Sequence[str]], error: InvalidInput | None = None) -> Response:
    """Render the form, filled with what was submitted."""
    is_new = not any(name in form for name in FIELDS)
    entered = TenantForm.of(form)
    values = {
        "entered": entered.values,
        "registers": is_new or entered.registers,
        "chain": ", ".join(context.environment.chain),
        "error": error,
    }
    return context.page("tenant_add", values, 400 if error else 200)


def add(context: PageContext, form: Mapping[str, Sequence[str]], parameters: Mapping[str, str]) -> Response:
    """Show the plan; once it is confirmed, register the domain, write the parameters, and show the DNS records."""
    entered = TenantForm.of(form)
    name, domain = entered.values["name"], entered.domain
    try:
        if any(tenant.name == name and not tenant.removed for tenant in tenants.list_tenants(parameters)):
            raise InvalidInput(f"There is a tenant {name} already.", "Choose another name, or change its brand.")
        changes = tenants.plan(entered.spec, parameters)
    except InvalidInput as error:
        return show(context, form, error)
    values = {**parameters, **{change.name: change.new for change in changes if change.new is not None}}
    chain = tenants.chain_of(values, name, "auth", context.environment.chain)
    notes = [f"{domain} is registered with {' and '.join(chain)}, and the DNS records follow."] if domain else []
    fields = {key: [value] for key, value in entered.values.items()}
    plan = Plan(
        f"Add {name}?",
        changes,
        PATH,
        {**fields, "register": ["1"] if entered.registers else []},
        f"{PATH}?{entered.query}",
        [entered.spec.command(context.frame.label, with_domain=entered.registers)],
        notes,
    )
    if not plan.is_confirmed(context, form):
        return plan.page(context, form)
    if domain:
        sending.register(context.environment, values, domain, chain)
    tenants.apply(Parameters(context.environment), changes)
    return redirect(f"{PATH}/{name}{'?check=1' if domain else ''}")
