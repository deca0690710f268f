"""A provider is loaded by its name, with only its own module and client library."""

import subprocess
import sys
from base64 import b64encode
from importlib import import_module
from pathlib import Path

import pytest

from mailroom.errors import ConfigurationError
from mailroom.providers import NAMES, BatchProvider, is_configured, load, spec_of
from mailroom_ops.local import bytecode

SECRET = "whsec_" + b64encode(b"x" * 24).decode()
SETTINGS = {
    "resend": {"api_key": "re_1"},
    "ses": {"region": "eu-west-1"},
    "smtp": {"host": "smtp.example.com"},
    "sendgrid": {"api_key": "SG.1"},
    "mailgun": {"api_key": "key-1"},
    "postmark": {"server_token": "token"},
    "aliyun": {"access_key_id": "id", "access_key_secret": "secret"},
    "http": {"endpoint": "https://mail.example.com/in", "secret": SECRET},
}
CLIENTS = {"smtp": {"smtplib", "email"}}  # all others have ours
LIBRARIES = {
    *("boto3", "botocore", "httpx", "requests", "urllib3", "http", "email"),
    *("smtplib", "pydantic", "aws_lambda_powertools"),
}
TABLES = {"smtp": "_smtp_replies"}  # of any other: in its own file


@pytest.mark.parametrize("name", SETTINGS)
def test_loading_one_provider_imports_no_other_and_no_sdk(name: str) -> None:
    package = Path(__file__).parents[2] / "layers" / "mailroom"
    code = f"import sys; from mailroom.providers import load; load({name!r}, {SETTINGS[name]!r}); print(*sys.modules)"
    env = {"PYTHONPATH": str(package), **bytecode.VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    ours = {module.removeprefix("mailroom.providers.") for module in loaded if module.startswith("mailroom.providers.")}
    assert {module for module in ours if not module.startswith("_")} == {name}
    assert loaded & LIBRARIES == CLIENTS.get(name, set())


@pytest.mark.parametrize("name", SETTINGS)
def test_a_provider_without_a_required_setting_is_not_configured(name: str) -> None:
    assert is_configured(name, SETTINGS[name])
    for key in spec_of(name).required:
        assert not is_configured(name, {**SETTINGS[name], key: ""})
        with pytest.raises(ConfigurationError, match=f"providers/{name}/{key}"):
            load(name, {**SETTINGS[name], key: ""})


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_is_true_of_the_adapter(name: str) -> None:
    spec = spec_of(name)

    assert spec.batch == isinstance(load(name, SETTINGS[name]), BatchProvider)
    assert set(spec.secrets) <= set(spec.settings)
    assert len(set(spec.settings)) == len(spec.settings)


def test_the_error_for_an_unknown_provider_lists_the_known_ones() -> None:
    for call in (lambda: load("sparkpost", {}), lambda: is_configured("sparkpost", {})):
        with pytest.raises(ConfigurationError, match="unknown provider 'sparkpost': use resend, "):
            call()


@pytest.mark.parametrize("key", ["two words", "two\nlines", "schlüssel", "\x00"])
@pytest.mark.parametrize("name", ["resend", "sendgrid", "mailgun"])
def test_a_malformed_key_is_named_and_not_shown(name: str, key: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(name, {"api_key": key})

    assert f"providers/{name}/api_key" in str(refusal.value)
    assert key not in str(refusal.value)


@pytest.mark.parametrize(
    ("account", "values"),
    [
        ("resend.acme", {"api_key": "two words"}),
        ("postmark.acme", {"server_token": ""}),
        ("smtp.acme", {"host": "not a host"}),
        ("smtp.acme", {"ca": "no certificate"}),
        ("http.acme", {"secret": "short"}),
        ("aliyun.acme", {"region": "not a region"}),
        ("mailgun.acme", {"endpoint": "http://mail.example.com"}),
        ("ses.acme", {"region": "not a region"}),
    ],
)
def test_a_malformed_setting_is_named_with_its_account(account: str, values: dict[str, str]) -> None:
    [setting] = values
    settings = {**SETTINGS[account.removesuffix(".acme")], **values}

    with pytest.raises(ConfigurationError, match=rf"providers/{account}/{setting} "):
        load(account, settings)


@pytest.mark.parametrize("secret", ["whsec_", "plain", "whsec_ü", f"{SECRET} x"])
def test_a_malformed_secret_is_named_and_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="providers/http/secret"):
        load("http", {"endpoint": "https://mail.example.com", "secret": secret})


@pytest.mark.parametrize(
    "endpoint", ["http://mail.example.com", "mail.example.com", "ftp://x", "https://", "https://[", " "]
)
def test_an_endpoint_without_tls_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="providers/http/endpoint must be an https address"):
        load("http", {"endpoint": endpoint, "secret": SECRET})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_requires_no_tls(host: str) -> None:
    load("resend", {"api_key": "re_1", "endpoint": f"http://{host}:4000/resend/"})


@pytest.mark.parametrize("name", SETTINGS)
def test_the_docs_list_every_setting_and_error_code(
    name: str,
) -> None:
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "providers" / f"{name}.md").read_text()
    for key in spec_of(name).settings:
        assert f"`providers/{name}/{key}`" in page

    words = {case.code for case in import_module(f"mailroom.providers.{TABLES.get(name, name)}").ERRORS}
    common = (docs / "adding-a-provider.md").read_text()
    assert {word for word in words if f"`{word}`" not in page + common} == set()
