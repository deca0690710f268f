"""List, set, rotate, compare and promote parameters."""

import json
import stat
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailroom.providers._smtp_relay import Tls
from mailroom_ops.errors import ServiceError
from mailroom_ops.settings import catalog
from tests.cli.helpers import Stored, store
from tests.command import Run

HOOK = "webhooks/logto/authorization"
KEY = "re_0123456789abcdef"
SENDER = '{"from": "Acme <no-reply@auth.example.com>"}'


def test_the_path_of_a_list_may_be_one_parameter(run: Run, staging: Stored) -> None:
    staging.put(providers__resend__api_key="re_0123456789abcdef", providers__resend__endpoint="https://example.com")
    (shown,) = json.loads(run("secrets", "list", "providers/resend/api_key", "--env", "staging", "--json").out)
    assert shown["name"] == "providers/resend/api_key"
    assert "Nothing is set" in run("secrets", "list", "providers/resend/nothing", "--env", "staging").text


def test_names_are_listed_with_their_values(run: Run) -> None:
    names = {entry["name"]: entry for entry in json.loads(run("secrets", "names", "--json").out)}
    tls = names["providers/smtp[.<tenant>]/tls"]
    assert all(mode in tls["about"] for mode in Tls)
    assert tls["is_secret"] is False
    assert names["providers/resend[.<tenant>]/api_key"]["is_secret"] is True


def test_a_secret_is_read_from_a_pipe_and_stored_encrypted(run: Run, staging: Stored) -> None:
    done = run("secrets", "set", "providers/resend/api_key", "--env", "staging", stdin=f"{KEY}\n")
    assert done.code == 0
    assert staging.values() == {"providers/resend/api_key": KEY}
    assert staging.types() == {"providers/resend/api_key": True}
    assert KEY not in done.out + done.err


def test_a_secret_is_read_from_a_file(run: Run, tmp_path: Path, staging: Stored) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    assert run("secrets", "set", "providers/resend/api_key", "--env", "staging", "--file", str(path)).code == 0
    assert staging.values() == {"providers/resend/api_key": KEY}
    missing = run("secrets", "set", "providers/resend/api_key", "--env", "staging", "--file", str(tmp_path / "no"))
    assert missing.code == 2
    assert "cannot be read" in missing.text


def test_a_secret_on_the_command_line_is_rejected(run: Run, staging: Stored) -> None:
    refused = run("secrets", "set", "providers/resend/api_key", KEY, "--env", "staging")
    assert refused.code == 2
    assert "history" in refused.text
    assert KEY not in refused.text
    assert staging.values() == {}


def test_a_setting_is_accepted_on_the_command_line(run: Run, staging: Stored) -> None:
    assert run("secrets", "set", "providers/ses/region", "eu-central-1", "--env", "staging").code == 0
    assert staging.values() == {"providers/ses/region": "eu-central-1"}
    assert staging.types() == {"providers/ses/region": False}


def test_an_unknown_name_is_rejected_with_a_suggestion(run: Run) -> None:
    refused = run("secrets", "set", "providers/resend/apikey", "--env", "staging", stdin=KEY)
    assert refused.code == 2
    assert "reads no parameter providers/resend/apikey" in refused.text
    assert "providers/resend[.<tenant>]/api_key" in refused.text


def test_the_full_path_of_a_parameter_is_accepted(run: Run, staging: Stored) -> None:
    full = "/mailroom/staging/providers/resend/api_key"
    assert run("secrets", "set", full, "--env", "staging", stdin=KEY).code == 0
    assert staging.values() == {"providers/resend/api_key": KEY}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("providers/resend/api_key", "two words", "without spaces"),
        ("providers/resend/api_key", "", "it is empty"),
        ("providers/resend/api_key", "re_xxxxxxxxx", "placeholder"),
        (HOOK, "short", "can be guessed"),
        ("senders/default/auth", "no-reply@example.com", "must be a JSON object"),
        ("senders/default/auth", '{"from": "a@example.com", "form": "x"}', "unknown key form"),
        ("senders/default/auth", '{"from": "nobody"}', "from is not a mailbox"),
        ("senders/acme/auth", '{"recipient_domains": ["a b"]}', "must be a domain"),
        ("senders/acme/auth", '{"recipient_domains": ["outlook.com"]}', "belongs to the group outlook already"),
        (
            "senders/acme/auth",
            '{"recipient_domains": ["a.de","b.de","c.de","d.de","e.de","f.de"]}',
            "has 6 entries",
        ),
        ("senders/default/auth", '{"code_lifetime_minutes": "10"}', "code_lifetime_minutes must be a number"),
        ("senders/default/auth", '{"organizations": ["n"]}', "organizations must be an object"),
        ("senders/default/auth", '{"organizations": {"n": {"providers": []}}}', "unknown key providers"),
        ("senders/default/auth", '{"organizations": {"n": {"from": "nobody"}}}', "from is not a mailbox"),
        ("brands/default", '{"organizations": {"n": {"colour": "x"}}}', "unknown key colour"),
        ("brands/default", '{"organizations": {"n": {"color": "x"}}}', "color must be a color"),
        ("brands/default", '{"logo_url": "https://example.com/logo.svg"}', "Gmail shows no SVG"),
        ("brands/default", '{"code_in_subject": "yes"}', "code_in_subject must be true or false"),
        ("senders/default/auth", '{"providers": ["sendgird"]}', "no provider 'sendgird'"),
        ("brands/acme", '{"color": "greenish"}', "color must be a color such as #0f766e"),
        ("brands/acme", '{"logo_url": "http://example.com/logo.png"}', "logo_url must be an https address"),
        ("suppression/default", '{"bounce": 7}', "days by cause and lane"),
        ("api/keys/billing", '{"key": "0123456789abcdef", "tenant": "acme"}', '"tenants"'),
        ("brands/acme", json.dumps({"company": "x" * 5000}), "longer than 4096"),
        ("ledger/address_key", "0123456789abcdef", "generated by Mailroom"),
    ],
)
def test_a_malformed_value_is_rejected(run: Run, staging: Stored, name: str, value: str, fault: str) -> None:
    refused = run("secrets", "set", name, "--env", "staging", stdin=value)
    assert refused.code == 2
    assert fault in refused.text
    assert staging.values() == {}


def test_a_generated_secret_is_written_to_a_new_private_file(run: Run, tmp_path: Path, staging: Stored) -> None:
    path = tmp_path / "hook.txt"
    done = run("secrets", "set", HOOK, "--generate", "--out", str(path), "--env", "staging")
    assert done.code == 0
    made = path.read_text().strip()
    assert staging.values() == {HOOK: made}
    assert made.startswith("Bearer ")
    assert len(made) > 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made not in done.out + done.err
    again = run("secrets", "set", HOOK, "--generate", "--out", str(path), "--env", "staging")
    assert again.code == 2
    assert "exists already" in again.text
    assert staging.values() == {HOOK: made}


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("webhooks/rendered/secret", "Bearer "),
        ("webhooks/casdoor/acme/secret", "Bearer "),
        ("webhooks/auth0/secret", "whsec_"),
        ("webhooks/standard/secret", "whsec_"),
    ],
)
def test_a_generated_secret_has_the_form_of_its_source(run: Run, staging: Stored, name: str, start: str) -> None:
    made = run("secrets", "set", name, "--generate", "--out", "-", "--env", "staging").out
    assert made.startswith(start)
    assert staging.values() == {name: made.strip()}


@pytest.mark.parametrize("name", ["webhooks/zitadel/secret", "webhooks/clerk/secret"])
def test_a_secret_that_an_auth_server_issues_cannot_be_generated(run: Run, name: str) -> None:
    refused = run("secrets", "set", name, "--generate", "--out", "-", "--env", "staging")
    assert refused.code == 2
    assert "the auth server issues it" in refused.text


def test_a_map_of_fields_is_checked(run: Run, staging: Stored) -> None:
    name = "webhooks/rendered/acme/fields"
    refused = run("secrets", "set", name, "--env", "staging", stdin='{"body": "content"}')
    assert "with some of to, subject, html" in " ".join(refused.text.split())
    assert run("secrets", "set", name, "--env", "staging", stdin='{"html": "content"}').code == 0


def test_a_generated_secret_is_the_only_output_of_a_pipe(run: Run, staging: Stored) -> None:
    done = run("secrets", "set", "api/keys/billing", "--generate", "--out", "-", "--env", "staging")
    assert staging.values() == {"api/keys/billing": done.out.removesuffix("\n")}


def test_a_generated_secret_requires_an_output(run: Run, staging: Stored) -> None:
    refused = run("secrets", "set", HOOK, "--generate", "--env", "staging")
    assert refused.code == 2
    assert "--out" in refused.text
    assert staging.values() == {}


def test_an_api_key_can_be_limited_to_tenants_and_kinds(run: Run, staging: Stored) -> None:
    scope = ("--tenant", "acme", "--kind", "sign-in-code", "--kind", "mfa-code")
    done = run("secrets", "set", "api/keys/acme", "--generate", *scope, "--out", "-", "--env", "staging")
    stored = json.loads(staging.values()["api/keys/acme"])
    assert stored == {"key": done.out.strip(), "tenants": ["acme"], "kinds": ["sign-in-code", "mfa-code"]}
    listed = run("secrets", "list", "--env", "staging").out
    assert "tenants: acme; kinds: sign-in-code, mfa-code" in " ".join(listed.split())
    assert done.out.strip() not in listed


def test_a_secret_that_a_provider_issues_cannot_be_generated(run: Run) -> None:
    refused = run("secrets", "set", "providers/resend/api_key", "--generate", "--out", "-", "--env", "staging")
    assert refused.code == 2
    assert "cannot be generated" in refused.text


def test_the_list_shows_settings_lengths_of_secrets_and_faults(run: Run, staging: Stored) -> None:
    staging.put(providers__resend__api_key=KEY, senders__default__auth=SENDER, brands__acme="{", strange__name="x")
    done = run("secrets", "list", "--env", "staging")
    assert done.code == 0
    assert f"secret, {len(KEY)} characters" in done.out
    assert "from: Acme <no-reply@auth.example.com>" in done.out
    assert "it must be a JSON object" in done.text
    assert "Mailroom does not read a parameter of this name" in done.text
    assert KEY not in done.out
    listed = json.loads(run("secrets", "list", "providers", "--env", "staging", "--json").out)
    assert [(item["name"], item["fault"]) for item in listed] == [("providers/resend/api_key", "")]


def test_the_list_of_an_empty_environment_is_a_sentence(run: Run) -> None:
    assert "Nothing is set below /mailroom/staging" in run("secrets", "list", "--env", "staging").out


def test_every_name_is_listed(run: Run) -> None:
    done = run("secrets", "names")
    assert done.code == 0
    assert "webhooks/logto[/<tenant>]/authorization" in done.out
    assert "providers/smtp[.<tenant>]/password" in done.out


def test_more_than_one_page_of_parameters_is_listed(run: Run, staging: Stored) -> None:
    for number in range(23):
        staging.put(**{f"api__keys__key{number}": f"0123456789abcdef{number}"})
    assert len(json.loads(run("secrets", "list", "api", "--env", "staging", "--json").out)) == 23


def test_a_webhook_secret_rotates_without_downtime(run: Run, tmp_path: Path, staging: Stored) -> None:
    staging.put(webhooks__logto__authorization="Bearer the-old-value")
    path = tmp_path / "new.txt"
    begun = run("secrets", "rotate", HOOK, "--out", str(path), "--env", "staging")
    assert begun.code == 0
    new = path.read_text().strip()
    assert staging.values()[HOOK].splitlines() == [new, "Bearer the-old-value"]
    assert "--finish" in begun.out
    twice = run("secrets", "rotate", HOOK, "--out", str(tmp_path / "third.txt"), "--env", "staging")
    assert twice.code == 2
    assert "being rotated already" in twice.text
    assert not (tmp_path / "third.txt").exists()
    assert run("secrets", "rotate", HOOK, "--finish", "--env", "staging").code == 0
    assert staging.values()[HOOK] == new
    assert run("secrets", "rotate", HOOK, "--finish", "--env", "staging").code == 2


def test_a_rotation_can_be_canceled(run: Run, tmp_path: Path, staging: Stored) -> None:
    staging.put(webhooks__logto__authorization="Bearer the-old-value")
    run("secrets", "rotate", HOOK, "--out", str(tmp_path / "new.txt"), "--env", "staging")
    assert run("secrets", "rotate", HOOK, "--cancel", "--env", "staging").code == 0
    assert staging.values()[HOOK] == "Bearer the-old-value"


def test_an_api_key_keeps_its_limits_while_it_rotates(run: Run, staging: Stored) -> None:
    staging.put(api__keys__acme='{"key": "the-old-api-key", "tenants": ["acme"]}')
    new = run("secrets", "rotate", "api/keys/acme", "--out", "-", "--env", "staging").out.strip()
    assert json.loads(staging.values()["api/keys/acme"]) == {"key": [new, "the-old-api-key"], "tenants": ["acme"]}
    run("secrets", "rotate", "api/keys/acme", "--finish", "--env", "staging")
    assert json.loads(staging.values()["api/keys/acme"]) == {"key": new, "tenants": ["acme"]}


def test_a_feedback_secret_rotates_to_the_value_of_its_provider(run: Run, staging: Stored) -> None:
    staging.put(feedback__resend__secret="whsec_b2xkIG9sZCBvbGQgb2xk")
    made_up = run("secrets", "rotate", "feedback/resend/secret", "--out", "-", "--env", "staging")
    assert made_up.code == 2
    given = run(
        "secrets", "rotate", "feedback/resend/secret", "--ask", "--env", "staging", stdin="whsec_bmV3IG5ldyBuZXc="
    )
    assert given.code == 0
    values = staging.values()["feedback/resend/secret"].splitlines()
    assert values == ["whsec_bmV3IG5ldyBuZXc=", "whsec_b2xkIG9sZCBvbGQgb2xk"]


def test_a_provider_key_is_replaced_in_one_step(run: Run, staging: Stored) -> None:
    staging.put(providers__resend__api_key=KEY)
    done = run("secrets", "rotate", "providers/resend/api_key", "--env", "staging", stdin="re_new_new_new_new")
    assert done.code == 0
    assert staging.values() == {"providers/resend/api_key": "re_new_new_new_new"}
    same = run("secrets", "rotate", "providers/resend/api_key", "--env", "staging", stdin="re_new_new_new_new")
    assert same.code == 2
    assert "same as the old one" in same.text


def test_an_unset_secret_cannot_rotate(run: Run) -> None:
    refused = run("secrets", "rotate", HOOK, "--out", "-", "--env", "staging")
    assert refused.code == 2
    assert "mailroom secrets set" in refused.text


def test_removing_a_parameter_requires_a_confirmation(run: Run, staging: Stored) -> None:
    staging.put(api__keys__old="0123456789abcdef")
    assert run("secrets", "remove", "api/keys/old", "--env", "staging").code == 4
    assert run("secrets", "remove", "api/keys/old", "--env", "staging", "--yes").code == 0
    assert staging.values() == {}


def test_a_change_of_production_requires_a_confirmation(run: Run, production: Stored) -> None:
    refused = run("secrets", "set", "providers/resend/api_key", "--env", "production", stdin=KEY)
    assert refused.code == 4
    assert production.values() == {}
    done = run("secrets", "set", "providers/resend/api_key", "--env", "production", "--yes", stdin=KEY)
    assert done.code == 0
    assert production.values() == {"providers/resend/api_key": KEY}


def test_two_environments_are_compared_without_showing_secrets(run: Run, staging: Stored, production: Stored) -> None:
    staging.put(providers__resend__api_key=KEY, senders__default__auth=SENDER, brands__acme='{"name": "Acme"}')
    production.put(providers__resend__api_key=KEY, senders__default__auth='{"from": "a@example.com"}')
    done = run("secrets", "diff", "staging", "production")
    assert done.code == 1
    assert "only in staging brands/acme" in done.text
    assert "differs senders/default/auth" in done.text
    assert "the same secret in both" in done.text
    assert KEY not in done.out + done.err
    found = json.loads(run("secrets", "diff", "staging", "production", "--json").out)
    assert {item["name"]: item["is"] for item in found} == {
        "brands/acme": "only left",
        "providers/resend/api_key": "same",
        "senders/default/auth": "differs",
    }
    assert run("secrets", "diff", "staging", "staging").code == 0


def test_promote_copies_settings_and_leaves_keys_and_addresses(run: Run, staging: Stored, production: Stored) -> None:
    staging.put(
        senders__default__auth='{"from": "Acme <no-reply@auth.example.com>", "providers": ["ses", "resend"]}',
        brands__default='{"name": "Acme"}',
        providers__ses__region="eu-west-1",
        providers__resend__api_key=KEY,
        providers__resend__endpoint="http://127.0.0.1:4000/resend",
        webhooks__logto__authorization="Bearer of-staging-alone",
        ledger__address_key="0123456789abcdef",
    )
    production.put(brands__default='{"name": "Old"}', brands__other='{"name": "Other"}')
    planned = run("promote", "staging", "production", "--dry-run")
    assert planned.code == 0
    assert "~ brands/default" in planned.out
    assert "+ senders/default/auth" in planned.out
    assert "Still missing in production:" in planned.text
    assert "providers/resend/api_key set the target's own there" in planned.text
    assert "endpoint is not copied: it is an address of this machine" in planned.text
    assert run("promote", "staging", "production").code == 4
    assert production.values()["brands/default"] == '{"name": "Old"}'
    assert run("promote", "staging", "production", "--yes").code == 0
    values = production.values()
    assert json.loads(values["brands/default"]) == {"name": "Acme"}
    assert set(values) == {"brands/default", "brands/other", "providers/ses/region", "senders/default/auth"}
    assert "Nothing to change." in run("promote", "staging", "production").out


def test_one_tenant_is_promoted_with_its_key(run: Run, staging: Stored, production: Stored) -> None:
    staging.put(
        senders__acme__auth='{"from": "hi@acme.example", "providers": ["resend.acme"]}',
        senders__default__auth=SENDER,
        brands__acme='{"name": "Acme"}',
        **{"providers__resend.acme__api_key": KEY},
    )
    assert run("promote", "staging", "production", "--tenant", "acme", "--with-keys", "--yes").code == 0
    assert set(production.values()) == {"senders/acme/auth", "brands/acme", "providers/resend.acme/api_key"}
    nobody = run("promote", "staging", "production", "--tenant", "nobody")
    assert nobody.code == 2


def test_a_malformed_setting_is_not_promoted(run: Run, staging: Stored, production: Stored) -> None:
    staging.put(brands__acme="{", senders__default__auth=SENDER)
    done = run("promote", "staging", "production", "--yes")
    assert done.code == 0
    assert "brands/acme is not copied: malformed" in done.text
    assert set(production.values()) == {"senders/default/auth"}


CANARY = "canary-9d41c7e05ab2"


def test_no_command_ever_shows_a_secret(run: Run, staging: Stored, production: Stored, tmp_path: Path) -> None:
    secrets = [setting for setting in catalog.settings() if setting.is_secret]
    names = [
        setting.shape.replace("[/<tenant>]", "")
        .replace("[.<tenant>]", ".acme")
        .replace("<tenant>", "acme")
        .replace("<name>", "billing")
        .replace("<provider>", "resend")
        for setting in secrets
    ]
    assert all(catalog.find(name) for name in names)
    for name in names:
        staging.put(**{name.replace("/", "__"): f"{CANARY}-{name}"})
    staging.put(senders__acme__auth='{"from": "hi@acme.example", "providers": ["resend.acme"]}')
    staging.put(callbacks__default=f'{{"url": "https://api.example.com/mail", "secrets": ["{CANARY}-callback"]}}')
    production.put(**{names[0].replace("/", "__"): f"{CANARY}-of-production"})
    path = tmp_path / "passwords.yaml"
    path.write_text(f"staging:\n  resendApiKey: {CANARY}-file\n  smtpPasword: {CANARY}-file\n")
    commands = [
        ("secrets", "list", "--env", "staging"),
        ("secrets", "diff", "staging", "production"),
        ("promote", "staging", "production", "--with-keys", "--dry-run"),
        ("tenant", "list", "--env", "staging"),
        ("callbacks", "show", "--env", "staging"),
        ("doctor", "--env", "staging", "--only", "settings", "--only", "stack"),
        ("secrets", "import", str(path), "--env", "staging", "--dry-run"),
    ]
    for command in commands:
        for form in ((), ("--json",)):
            done = run(*command, *form)
            assert done.code in (0, 1, 2), done.text
            assert CANARY not in done.out + done.err, command
    for command in (("secrets", "remove", names[0]), ("tenant", "remove", "acme")):
        assert CANARY not in run(*command, "--env", "staging", "--yes").text


@pytest.fixture
def allowance(cloud: str) -> Iterator[Callable[[float], None]]:
    """Set how many more calls AWS accepts."""

    def allow(calls: float) -> None:
        plain = {"content-type": "text/plain"}
        request = urllib.request.Request(f"{cloud}/moto-api/reset-auth", str(calls).encode(), plain, method="POST")
        urllib.request.urlopen(request).close()

    yield allow
    allow(float("inf"))


def test_an_error_half_way_names_how_many_are_written(allowance: Callable[[float], None]) -> None:
    allowance(1)
    with pytest.raises(ServiceError) as caught:
        store("staging").write({"brands/acme": "{}", "brands/other": "{}", "brands/third": "{}"})
    allowance(float("inf"))
    assert caught.value.details == ("1 of 3 are written; the same command again writes the rest.",)
    assert store("staging").values() == {"brands/acme": "{}"}
