"""Forged, repeated and missing fields: each form and page of the console answers them, and none fails by them."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote_plus

import pytest

from mailroom.model.kinds import Lane
from mailroom_ops.console.brand_form import BrandForm
from mailroom_ops.environment import Environment
from mailroom_ops.settings.parameters import Parameters
from tests.console.client import Client, serving_console
from tests.thorough import times

# Percent-encoded. "²" is a digit for str.isdigit(), and no number for int().
GARBAGE = (
    "%C2%B2",
    "-1",
    "9" * 5000,
    "1e999",
    "nan",
    "%00%0D%0A%22",
    "%ED%A0%80%FF",
    "https%3A%2F%2F%5B",
    "..%2F..%2Fetc%2Fpasswd",
    "%7B%7B+a.b+%7D%7D%7B%25+extends+x",
    "%F0%9F%92%A5" * 500,
    "0001-01-01",
    "address%0Da%40example.com",
)
ADDRESS = {"tenant": "acme", "address": "reader@example.com", "confirmed": "staging"}
TENANT = {"name": "globex", "from": "Globex <hello@globex.example>", "reply_to": "", "providers": "", "color": ""}
LETTERS = {"do": "drop", "look": "1", "letter": "1", "doubtful": "1", "extend": "", "mail": "1", "confirmed": "staging"}
BRAND = BrandForm.of_settings("acme", {}).values
TEXTS = {"file:texts.toml": '[sign-in-code]\nsubject = "Hello"', "kind": "sign-in-code", "locale": "en", "form": ""}
CSV = "address,tenant,cause,codes_until\nreader@example.com,acme,bounce,2100-01-01"
# The fields of every form, with values that it accepts.
FORMS = {
    "/console/deliveries": {"what": "reader@example.com"},
    "/console/suppressions": {"what": "reader@example.com"},
    "/console/suppressions/add": ADDRESS | {"cause": "manual", "codes": "7", "notices": "7"},
    "/console/suppressions/check": ADDRESS,
    "/console/suppressions/remove": ADDRESS | {"at_provider": ""},
    "/console/suppressions/import": {"tenant": "acme", "csv": CSV, "confirmed": "staging"},
    **{f"/console/queues/{lane}": LETTERS for lane in Lane},
    "/console/senders": TENANT | {"logo_url": "", "plan": "1", "confirmed": "staging"},
    "/console/senders/acme": {"check": "1"},
    "/console/senders/acme/brand": {**BRAND, "name": "Acme", "preview": "1", "plan": "1", "confirmed": "staging"},
    "/console/senders/acme/texts": TEXTS | {"add": "", "new_name": "texts.toml", "plan": "1", "version": "1"},
    "/console/senders/acme/texts/preview.json": TEXTS,
    "/console/doctor": {"area": "queues"},
}
# The parameters of every page.
PAGES = {
    "/console/deliveries": ("tenant", "kind", "provider", "reason", "status", "since", "before"),
    "/console/deliverability": ("tenant", "since"),
    "/console/suppressions": ("tenant", "cause", "after", "start", "done"),
    "/console/suppressions/add": ("tenant", "address", "cause", "codes"),
    "/console/suppressions/list.csv": ("tenant", "cause"),
    "/console/queues": ("done",),
    "/console/senders": ("add", "name", "from", "providers", "color"),
    "/console/senders/acme": ("check",),
    "/console/senders/acme/brand": ("preview", "color", "logo_url", "auth.from", "kind", "locale", "done"),
    "/console/senders/acme/brand/mail.html": ("color", "logo_url", "auth.from", "kind", "locale", "scheme"),
    "/console/senders/acme/brand/preview.json": ("color", "logo_url", "auth.from", "kind"),
    "/console/senders/acme/texts": ("kind", "locale", "form", "done"),
    "/console/senders/acme/texts/mail.html": ("draft", "scheme"),
    "/console/doctor": ("area",),
    "/console/palette": ("q",),
    "/console/health": ("q",),
    "/gallery/mail.html": ("kind", "locale", "brand", "form", "tenant", "scheme"),
    "/gallery/mail.json": ("kind", "locale", "brand", "form", "tenant"),
}


@pytest.fixture(scope="module")
def module_client() -> Iterator[Client]:
    """A console of its own: the shared one may have read the outputs of a stack without queues."""
    with serving_console("staging") as client:
        client.log_in()
        yield client


@pytest.fixture
def client(queue_urls: dict[str, str], module_client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of an environment with queues and a tenant, where no check of the doctor runs."""
    monkeypatch.setenv("MAILROOM_RESOLVER", "127.0.0.1:9")
    monkeypatch.setattr("mailroom_ops.console.doctor.run_checks", lambda context, areas: iter(()))
    Parameters(Environment("staging")).write({"brands/acme": '{"name": "Acme"}'})
    return module_client


def garbage(number: int) -> Sequence[str]:
    """Return what the field of this number is forged with."""
    return [GARBAGE[(number + offset) % len(GARBAGE)] for offset in range(times(1, len(GARBAGE)))]


def encoded(pairs: Mapping[str, str]) -> str:
    return "&".join(f"{quote_plus(name)}={value}" for name, value in pairs.items())


def forgeries(fields: Mapping[str, str]) -> Iterator[str]:
    """Yield the bodies of a form: with none of its fields, all forged, and one of them forged, repeated or missing."""
    valid = {name: quote_plus(value) for name, value in fields.items()}
    yield ""
    for text in GARBAGE[: times(3, len(GARBAGE))]:
        yield encoded(dict.fromkeys(valid, text))
    for number, name in enumerate(valid):
        yield encoded({other: value for other, value in valid.items() if other != name})
        for text in garbage(number):
            yield encoded(valid | {name: text})
            yield f"{quote_plus(name)}={text}&{encoded(valid)}"


def assert_answered(client: Client, method: str, path: str, body: str | None = None) -> None:
    answer = client.ask(method, path, body)
    assert (answer.status < 500, client.errors) == (True, []), f"{method} {path} {body}: {answer.text}"


@pytest.mark.parametrize("path", FORMS)
def test_a_form_answers_forged_fields(path: str, client: Client) -> None:
    for body in forgeries(FORMS[path]):
        assert_answered(client, "POST", path, f"token={client.console.frame.token}&{body}")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_answers_forged_parameters(path: str, client: Client) -> None:
    for text in GARBAGE[: times(3, len(GARBAGE))]:
        assert_answered(client, "GET", f"{path}?{encoded(dict.fromkeys(PAGES[path], text))}")
    for number, name in enumerate(PAGES[path]):
        for text in garbage(number):
            assert_answered(client, "GET", f"{path}?{encoded({name: text})}")
