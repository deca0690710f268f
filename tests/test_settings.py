"""Settings from a real parameter store: completed, cached, refreshed, and kept when it is away."""

from functools import partial

import pytest

from mailroom.aws.client import Aws
from mailroom.aws.parameter_store import CACHE_TTL_SECONDS
from mailroom.errors import ConfigurationError, TemporaryFailure
from mailroom.model.mailbox import Mailbox
from mailroom.providers import load
from mailroom.settings import Settings
from tests import cloud
from tests.factories import Clock

put = partial(cloud.put, environment="staging")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(aws: Aws, clock: Clock) -> Settings:
    return Settings(aws, "staging", ("resend",), clock)


def test_a_tree_of_any_size_is_read_whole(settings: Settings, aws: Aws) -> None:
    for number in range(23):
        put(aws, f"webhooks/logto/tenant{number}/authorization", f"secret {number}")
    put(aws, "webhooks/logtopus/authorization", "of another source")
    assert settings.tree("webhooks/logto") == {f"tenant{n}/authorization": f"secret {n}" for n in range(23)}


def test_more_names_than_one_call_takes_are_read_in_two(settings: Settings, aws: Aws) -> None:
    for number in range(12):
        put(aws, f"providers/p{number}", f"value {number}")
    names = [f"providers/p{number}" for number in range(14)]
    assert settings.values(*names) == {f"providers/p{number}": f"value {number}" for number in range(12)}


def test_a_value_is_kept_for_five_minutes_and_then_read_anew(settings: Settings, aws: Aws, clock: Clock) -> None:
    put(aws, "providers/resend/api_key", "re_old")
    settings.provider("resend")
    put(aws, "providers/resend/api_key", "re_new")
    clock.now += CACHE_TTL_SECONDS - 1
    assert settings.provider("resend") == {"api_key": "re_old"}
    clock.now += 2
    assert settings.provider("resend") == {"api_key": "re_new"}


def test_a_refresh_reads_at_once(settings: Settings, aws: Aws) -> None:
    put(aws, "providers/resend/api_key", "re_old")
    settings.provider("resend")
    put(aws, "providers/resend/api_key", "re_new")
    settings.refresh()
    assert settings.provider("resend") == {"api_key": "re_new"}


def test_what_was_removed_is_gone_once_it_is_read_anew(settings: Settings, aws: Aws) -> None:
    put(aws, "webhooks/logto/acme/authorization", "x")
    settings.tree("webhooks/logto")
    aws.call("ssm", "DeleteParameter", {"Name": "/mailroom/staging/webhooks/logto/acme/authorization"})
    settings.forget()
    assert settings.tree("webhooks/logto") == {}


def test_stale_beats_down(clock: Clock, aws: Aws, cloud: str) -> None:
    put(aws, "webhooks/logto/authorization", "secret")
    put(aws, "providers/resend/api_key", "re_1")
    settings = Settings(aws, "staging", ("resend",), clock)
    settings.tree("webhooks/logto")
    settings.provider("resend")
    aws.close()
    aws._endpoint = "http://127.0.0.1:9"  # the discard port: nobody listens
    clock.now += CACHE_TTL_SECONDS + 1
    assert settings.tree("webhooks/logto") == {"authorization": "secret"}
    assert settings.provider("resend") == {"api_key": "re_1"}
    with pytest.raises(TemporaryFailure):
        settings.tree("api/keys")
    aws._endpoint = cloud


def test_a_tenant_without_settings_sends_as_the_default(settings: Settings, aws: Aws) -> None:
    put(aws, "senders/default/auth", {"from": "Mailroom <no-reply@example.com>", "reply_to": "help@example.com"})
    sender = settings.sender("acme", "auth")
    assert sender.from_ == Mailbox("no-reply@example.com", "Mailroom")
    assert sender.reply_to == Mailbox("help@example.com")
    assert sender.providers == ("resend",)


def test_a_tenant_sets_only_what_differs(settings: Settings, aws: Aws) -> None:
    put(aws, "senders/default/auth", {"from": "no-reply@example.com", "reply_to": "help@example.com"})
    put(aws, "senders/acme/auth", {"from": "Acme <hi@acme.example>", "providers": ["resend"], "default_locale": "de"})
    put(aws, "senders/acme/notification", {"from": "Acme News <news@acme.example>"})
    assert settings.sender("acme", "auth").from_ == Mailbox("hi@acme.example", "Acme")
    notification = settings.sender("acme", "notification")
    assert notification.from_ == Mailbox("news@acme.example", "Acme News")
    assert (notification.reply_to, notification.default_locale) == (Mailbox("help@example.com"), "de")


def test_a_tenant_may_have_an_account_of_its_own_at_a_provider(settings: Settings, aws: Aws) -> None:
    put(aws, "providers/resend/api_key", "re_everybodys")
    put(aws, "providers/resend.acme/api_key", "re_acmes_own")
    put(aws, "senders/acme/auth", {"from": "hi@acme.example", "providers": ["resend.acme", "resend"]})
    own, shared = (settings.provider(name) for name in settings.sender("acme", "auth").providers)
    assert (own, shared) == ({"api_key": "re_acmes_own"}, {"api_key": "re_everybodys"})
    assert load("resend.acme", own).name == "resend"


def test_an_organization_may_have_its_own_sender_and_brand(settings: Settings, aws: Aws) -> None:
    north = {"from": "North <hi@north.example>", "providers": ["smtp"]}
    put(
        aws,
        "senders/acme/auth",
        {"from": "hi@acme.example", "reply_to": "a@acme.example", "organizations": {"n": north}},
    )
    put(
        aws,
        "brands/acme",
        {"name": "Acme", "color": "#000000", "organizations": {"n": {"name": "North"}, "s": "South"}},
    )
    sender = settings.sender("acme", "auth", "n")
    assert (sender.from_, sender.reply_to) == (Mailbox("hi@north.example", "North"), Mailbox("a@acme.example"))
    assert sender.providers == ("resend",)  # those of the tenant
    assert settings.brand("acme", "n") == {"name": "North", "color": "#000000"}
    for other in ("", "s", "m"):
        assert settings.sender("acme", "auth", other).from_ == Mailbox("hi@acme.example")
        assert settings.brand("acme", other)["name"] == "Acme"


def test_an_organization_with_a_logo_of_its_own_has_not_the_tenants_inside(settings: Settings, aws: Aws) -> None:
    logo, other = "https://cdn.example.com/acme.png", "https://cdn.example.com/north.png"
    organizations = {"n": {"logo_url": other}, "s": {"name": "South"}}
    put(aws, "brands/acme", {"logo_url": logo, "inline_logo": True, "organizations": organizations})

    assert "inline_logo" not in settings.brand("acme", "n")
    assert settings.brand("acme", "s")["inline_logo"] == settings.brand("acme")["inline_logo"] == "true"


def test_a_malformed_sender_of_an_organization_is_named(settings: Settings, aws: Aws) -> None:
    put(aws, "senders/acme/auth", {"from": "hi@acme.example", "organizations": {"n": {"from": "nobody"}}})
    with pytest.raises(ConfigurationError, match="senders/acme/auth is malformed"):
        settings.sender("acme", "auth", "n")


def test_a_tenant_may_set_the_lifetime_of_its_codes(settings: Settings, aws: Aws) -> None:
    put(aws, "senders/default/auth", {"from": "no-reply@example.com"})
    put(aws, "senders/acme/auth", {"code_lifetime_minutes": 1.5})
    assert settings.sender("acme", "auth").code_lifetime == 90
    assert settings.sender("default", "auth").code_lifetime == 0


@pytest.mark.parametrize("minutes", ["10", 0, -1, True, 1441, []])
def test_a_malformed_lifetime_is_named(settings: Settings, aws: Aws, minutes: object) -> None:
    put(aws, "senders/acme/auth", {"from": "hi@acme.example", "code_lifetime_minutes": minutes})
    with pytest.raises(ConfigurationError, match="code_lifetime_minutes must be a number of minutes, at most 1440"):
        settings.sender("acme", "auth")


def test_resend_without_a_from_address_uses_its_shared_test_sender(settings: Settings) -> None:
    assert settings.sender("default", "auth").from_ == Mailbox("onboarding@resend.dev")


@pytest.mark.parametrize("value", ["{", "[]", '{"from": "nobody"}', '{"from": "a@example.com, b@example.com"}'])
def test_a_malformed_sender_is_named_with_the_command_that_sets_it(settings: Settings, aws: Aws, value: str) -> None:
    put(aws, "senders/default/auth", value)
    with pytest.raises(ConfigurationError, match=r"senders/default/auth .*mailroom secrets set"):
        settings.sender("default", "auth")


@pytest.mark.parametrize("tenant", ["re-acme", "sk-acme", "key-acme", "acme-2026"])
def test_the_command_for_a_malformed_sender_is_whole_for_any_tenant(settings: Settings, aws: Aws, tenant: str) -> None:
    name = f"senders/{tenant}/auth"
    put(aws, name, {"from": "nobody"})

    with pytest.raises(ConfigurationError) as failure:
        settings.sender(tenant, "auth")

    assert f"{name} is malformed" in failure.value.detail
    assert failure.value.detail.endswith(
        f"write it as `Name <name@example.com>` or `name@example.com`: mailroom secrets set {name} --env staging"
    )


def test_a_secret_nobody_set_is_made_once(settings: Settings, aws: Aws) -> None:
    assert settings.create("ledger/address_key", "first") == "first"
    assert Settings(aws, "staging").create("ledger/address_key", "second") == "first"


def test_a_malformed_inherited_sender_is_named_and_not_the_one_that_inherits(settings: Settings, aws: Aws) -> None:
    put(aws, "senders/default/auth", {"from": "nobody"})
    put(aws, "senders/acme/notification", {"reply_to": "help@acme.example"})
    with pytest.raises(ConfigurationError, match=r"^settings: malformed \(senders/default/auth is malformed"):
        settings.sender("acme", "notification")
