"""Tenants: added, registered, verified, removed, restored and purged."""

import json
from pathlib import Path

import jsonschema
import pytest

from mailroom_ops.domains import load
from mailroom_ops.domains.registrar import Domain, State
from mailroom_ops.environment import Environment
from mailroom_ops.errors import InvalidInput
from mailroom_ops.sandbox.server import Sandbox
from tests.cli.helpers import Stored
from tests.command import Run
from tests.nameserver import Zones
from tests.running import Running

ADD = ("tenant", "add", "acme", "--from", "Acme <no-reply@auth.acme.example>", "--env", "staging")


def test_a_tenant_is_added_with_its_domain_at_both_providers(run: Run, resend: Sandbox, staging: Stored) -> None:
    done = run(*ADD, "--providers", "ses,resend", "--reply-to", "help@acme.example", "--brand", "color=#0f766e")
    assert done.code == 0, done.err
    values = staging.values()
    assert json.loads(values["senders/acme/auth"]) == {
        "from": "Acme <no-reply@auth.acme.example>",
        "reply_to": "help@acme.example",
        "providers": ["ses", "resend"],
    }
    assert json.loads(values["brands/acme"]) == {"color": "#0f766e", "name": "Acme"}
    for account in ("ses", "resend"):
        assert find_domain(account, values) is not None
    for name in ("send.auth", "bounce.auth", "resend._domainkey.auth", "_dmarc.auth"):
        assert f"\n{name}.acme.example. 300 IN " in done.out
    assert done.out.count("dkim.amazonses.com.\n") == 3
    assert "mailroom tenant verify acme --env staging" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if " IN " not in line)


def find_domain(account: str, values: dict[str, str], domain: str = "auth.acme.example") -> Domain | None:
    before = f"providers/{account}/"
    settings = {name.removeprefix(before): value for name, value in values.items() if name.startswith(before)}
    registrar = load(account, Environment("staging"), settings)
    assert registrar
    return registrar.find(domain)


def test_adding_a_tenant_again_changes_nothing(run: Run, resend: Sandbox, staging: Stored) -> None:
    first = run(*ADD, "--providers", "ses,resend")
    values = staging.values()
    again = run(*ADD, "--providers", "ses,resend")
    assert again.code == 0
    assert first.out.partition("zone file:")[2] == again.out.partition("zone file:")[2]
    assert "= senders/acme/auth" in again.out
    assert staging.values() == values


def test_a_setting_without_an_option_stays(run: Run, resend: Sandbox, staging: Stored) -> None:
    run(*ADD, "--providers", "resend", "--reply-to", "help@acme.example")
    assert run("tenant", "add", "acme", "--providers", "ses,resend", "--env", "staging").code == 0
    sender = json.loads(staging.values()["senders/acme/auth"])
    assert sender["from"] == "Acme <no-reply@auth.acme.example>"
    assert sender["reply_to"] == "help@acme.example"
    assert sender["providers"] == ["ses", "resend"]


def test_the_printed_zone_file_makes_every_record_live(run: Run, resend: Sandbox, nameserver: Zones) -> None:
    report = json.loads(run(*ADD, "--providers", "ses,resend", "--json").out)
    empty = nameserver({"acme.example": "", "amazonses.com": ""})
    missing = run("tenant", "verify", "acme", "--env", "staging", "--resolver", empty)
    assert missing.code == 1
    assert missing.out.count("is missing") == 9
    assert "resend auth.acme.example: is not verified: not_started" in missing.text
    amazon = '@ TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'
    full = nameserver({"acme.example": report["zone"] + "\n", "amazonses.com": amazon})
    live = run("tenant", "verify", "acme", "--env", "staging", "--resolver", full, "--json")
    found = json.loads(live.out)
    assert [one for one in found if one["level"] != "ok"] == []
    assert live.code == 0
    assert {"resend auth.acme.example", "ses auth.acme.example"} <= {one["subject"] for one in found}
    assert sum(one["subject"].startswith("alignment") for one in found) == 2


def test_a_provider_that_does_not_find_the_records_is_a_failure(run: Run, resend: Sandbox, nameserver: Zones) -> None:
    add = ("tenant", "add", "acme", "--from", "hi@unverified.example", "--providers", "resend", "--env", "staging")
    report = json.loads(run(*add, "--json").out)
    zones = {"unverified.example": report["zone"] + "\n", "amazonses.com": '@ TXT "v=spf1 -all"\n'}
    done = run("tenant", "verify", "acme", "--env", "staging", "--resolver", nameserver(zones))
    assert done.code == 1
    assert "is not verified yet: failed" in done.text


def test_an_unregistered_domain_is_a_failure(run: Run, resend: Sandbox, nameserver: Zones) -> None:
    assert run(*ADD, "--providers", "resend", "--no-domain").code == 0
    address = nameserver({"acme.example": ""})
    done = run("tenant", "verify", "acme", "--env", "staging", "--resolver", address)
    assert done.code == 1
    assert "resend auth.acme.example: is not registered there" in done.text


def test_a_sending_key_cannot_register_and_a_key_file_can(
    run: Run, resend: Sandbox, staging: Stored, tmp_path: Path
) -> None:
    staging.put(providers__resend__api_key="re_sandbox_sending")
    refused = run(*ADD, "--providers", "resend")
    assert refused.code == 3
    assert "may only send" in refused.text
    assert "--key-file" in refused.text
    assert "senders/acme/auth" not in staging.values()
    path = tmp_path / "key"
    path.write_text("re_sandbox\n")
    assert run(*ADD, "--providers", "resend", "--key-file", str(path)).code == 0
    assert staging.values()["providers/resend/api_key"] == "re_sandbox_sending"


def test_an_unknown_key_and_a_taken_domain_are_errors(run: Run, resend: Sandbox, staging: Stored) -> None:
    taken = run("tenant", "add", "x", "--from", "hi@taken.example", "--providers", "resend", "--env", "staging")
    assert taken.code == 3
    assert "has been registered already" in taken.text
    staging.put(providers__resend__api_key="re_somebody_elses")
    wrong = run(*ADD, "--providers", "resend")
    assert wrong.code == 3
    assert "rejects the key" in wrong.text
    assert "re_somebody" not in wrong.text


def test_a_rate_limited_provider_is_retried(run: Run, resend: Sandbox) -> None:
    from mailroom_ops.sandbox.faults import Fault, Kind

    resend.faults.add("resend", Fault(Kind.RATE_LIMIT, seconds=0.01), 1)
    assert run(*ADD, "--providers", "resend").code == 0


def test_an_unreachable_provider_is_an_error(run: Run, resend: Sandbox, staging: Stored) -> None:
    staging.put(providers__resend__endpoint="http://127.0.0.1:1")
    done = run(*ADD, "--providers", "resend")
    assert done.code == 3
    assert "Resend does not answer" in done.text


def test_a_domain_is_found_beyond_the_first_page(resend: Sandbox, cloud: str) -> None:
    registrar = load("resend", Environment("staging"), resend.settings("resend"))
    assert registrar
    for number in range(103):
        registrar._call("POST", "/domains", json={"name": f"d{number}.example.com"})  # type: ignore[attr-defined]
    assert registrar.find("d102.example.com")
    assert registrar.find("d103.example.com") is None


def test_calls_to_resend_conform_to_its_openapi_document(resend: Sandbox, cloud: str, contracts: Path) -> None:
    document = json.loads((contracts / "resend" / "resend.json").read_text())
    registrar = load("resend", Environment("staging"), resend.settings("resend"))
    assert registrar

    def check(name: str, value: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(value, schema)
        assert isinstance(value, dict)
        assert set(value) <= set(document["components"]["schemas"][name]["properties"])

    body = {"name": "auth.acme.example", "open_tracking": False, "click_tracking": False}
    check("CreateDomainRequest", body)
    call = registrar._call  # type: ignore[attr-defined]
    made = call("POST", "/domains", json=body)
    check("CreateDomainResponse", made)
    check("ListDomainsResponse", call("GET", "/domains"))
    check("VerifyDomainResponse", call("POST", f"/domains/{made['id']}/verify"))
    check("Domain", call("GET", f"/domains/{made['id']}"))
    check("DeleteDomainResponse", call("DELETE", f"/domains/{made['id']}"))


def test_ses_finds_the_identity_of_a_parent_domain(run: Run, cloud: str, staging: Stored) -> None:
    run("tenant", "add", "acme", "--from", "hi@acme.example", "--providers", "ses", "--env", "staging")
    found = find_domain("ses", staging.values(), "auth.acme.example")
    assert found is not None
    assert (found.name, found.state) == ("acme.example", State.VERIFIED)


def test_a_dedicated_account_is_used_and_listed(run: Run, sandbox: Sandbox, staging: Stored) -> None:
    own = ("--providers", "resend", "--own", "resend")
    refused = run(*ADD, *own)
    assert refused.code == 2
    assert "providers/resend.acme/api_key is not set" in refused.text
    for name, value in sandbox.settings("resend").items():
        run("secrets", "set", f"providers/resend.acme/{name}", "--env", "staging", stdin=value)
    done = run(*ADD, *own)
    assert done.code == 0
    assert json.loads(staging.values()["senders/acme/auth"])["providers"] == ["resend.acme"]
    assert "at resend.acme: pending" in done.out
    listed = json.loads(run("tenant", "list", "--env", "staging", "--json").out)
    assert [(tenant["name"], tenant["accounts"]) for tenant in listed] == [("acme", ["resend.acme"])]


def test_mail_of_a_tenant_is_sent_through_its_dedicated_account(run: Run, local_stack: Running) -> None:
    for name, value in local_stack.sandbox.settings("resend").items():
        assert run("secrets", "set", f"providers/resend.owner/{name}", stdin=value).code == 0
    own = ("--providers", "resend,smtp", "--own", "resend", "--from", "Owner <hi@owner.example>")
    assert run("tenant", "add", "owner", *own).code == 0
    reader = local_stack.address()
    body = json.dumps({"kind": "sign-in-code", "tenant": "owner", "to": reader, "data": {"code": "482910"}})
    headers = {"authorization": "Bearer local-api-key", "content-type": "application/json"}
    answer = local_stack.request("POST", "/v1/emails", body, headers).json()
    assert (answer["status"], answer["provider"]) == ("sent", "resend.owner")
    assert local_stack.mail_to(reader).from_ == "Owner <hi@owner.example>"
    assert "through resend.owner" in run("trace", answer["message_id"]).text


def test_an_interrupted_removal_can_be_undone(run: Run, staging: Stored) -> None:
    staging.put(brands__acme='{"name": "Acme"}', senders__acme__auth='{"from": "hi@acme.example"}')
    before = staging.values()
    run("tenant", "remove", "acme", "--env", "staging", "--yes")
    staging.put(senders__acme__auth='{"from": "hi@acme.example"}')  # as if it had been stopped before this deletion
    assert run("tenant", "restore", "acme", "--env", "staging").code == 0
    assert staging.values() == before


def test_parameters_of_a_removed_tenant_keep_their_kind(run: Run, staging: Stored) -> None:
    staging.put(
        senders__acme__auth='{"from": "hi@acme.example"}',
        webhooks__logto__acme__authorization="Bearer of-acme",
        limits__acme='{"per_recipient": 20}',
        suppression__acme='{"bounce": 30}',
    )
    run("tenant", "remove", "acme", "--env", "staging", "--yes")
    listed = run("secrets", "list", "--env", "staging")
    assert "from: hi@acme.example" in listed.text
    assert "secret, 14 characters" in listed.text
    assert staging.types() == {
        "removed/acme/limits/acme": False,
        "removed/acme/senders/acme/auth": False,
        "removed/acme/suppression/acme": False,
        "removed/acme/webhooks/logto/acme/authorization": True,
    }


def test_a_tenant_of_any_auth_server_is_listed_and_removed_with_its_secrets(run: Run, staging: Stored) -> None:
    staging.put(
        webhooks__supabase__acme__secret="v1,whsec_bG9jYWwtc3VwYWJhc2Utc2VjcmV0LTAwMDE=",
        webhooks__kratos__acme__secret="a-secret-of-kratos",
    )
    assert "acme Kratos, Supabase" in run("tenant", "list", "--env", "staging").text
    assert run("tenant", "remove", "acme", "--env", "staging", "--yes").code == 0
    assert staging.types() == {
        "removed/acme/webhooks/kratos/acme/secret": True,
        "removed/acme/webhooks/supabase/acme/secret": True,
    }


def test_settings_of_a_dedicated_relay_are_options_but_not_its_secrets(run: Run, staging: Stored) -> None:
    own = ("--providers", "smtp", "--own", "smtp", "--set", "smtp.host=smtp.acme.example")
    done = run(*ADD, *own, "--set", "smtp.port=465")
    assert done.code == 0, done.text
    values = staging.values()
    assert values["providers/smtp.acme/host"] == "smtp.acme.example"
    assert values["providers/smtp.acme/port"] == "465"
    assert "ask its operator for the SPF and DKIM records" in done.text
    refused = run(*ADD, *own, "--set", "smtp.password=hunter2hunter2")
    assert refused.code == 2
    assert "hunter2" not in refused.text


def test_the_webhook_secret_of_a_tenant_is_written_to_a_file(
    run: Run, resend: Sandbox, staging: Stored, tmp_path: Path
) -> None:
    path = tmp_path / "hook.txt"
    done = run(*ADD, "--providers", "resend", "--webhook", str(path))
    made = path.read_text().strip()
    assert staging.values()["webhooks/logto/acme/authorization"] == made
    assert made not in done.text
    again = run(*ADD, "--providers", "resend", "--webhook", str(tmp_path / "other.txt"))
    assert again.code == 0
    assert "is already set and stays" in again.text
    assert not (tmp_path / "other.txt").exists()
    assert staging.values()["webhooks/logto/acme/authorization"] == made


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("Acme!", "--from", "a@example.com"), "is not a valid name of a tenant"),
        (("acme",), "needs --from"),
        (("acme", "--from", "nobody"), "--from is not a mailbox"),
        (("acme", "--from", "a@example.com, b@example.com"), "--from is not a mailbox"),
        (("acme", "--from", "a@example.com", "--reply-to", "x"), "--reply-to is not a mailbox"),
        (("acme", "--from", "a@example.com", "--providers", "sendgird"), "no provider 'sendgird'"),
        (("acme", "--from", "a@example.com", "--own", "resend"), "not in --providers"),
        (("acme", "--from", "a@example.com", "--set", "smtp.host=x"), "not a setting of an --own provider"),
        (("acme", "--from", "a@example.com", "--set", "smtp.host"), "KEY=VALUE"),
        (("acme", "--from", "a@example.com", "--brand", "colour=red"), "unknown key colour"),
        (
            ("default", "--from", "a@example.com", "--providers", "smtp", "--own", "smtp"),
            "always uses the shared accounts",
        ),
    ],
)
def test_invalid_options_are_rejected_and_change_nothing(
    run: Run, staging: Stored, arguments: tuple[str, ...], fault: str
) -> None:
    refused = run("tenant", "add", *arguments, "--env", "staging")
    assert refused.code == 2
    assert fault in refused.text
    assert staging.values() == {}


def test_a_removed_tenant_is_restored_unchanged(run: Run, staging: Stored) -> None:
    staging.put(
        senders__acme__auth='{"from": "hi@acme.example", "providers": ["smtp.acme"]}',
        brands__acme='{"name": "Acme"}',
        webhooks__logto__acme__authorization="Bearer of-acme-alone",
        senders__other__auth='{"from": "hi@other.example"}',
        api__keys__billing='{"key": "0123456789abcdef", "tenants": ["acme"]}',
        **{"providers__smtp.acme__host": "smtp.acme.example"},
    )
    before = staging.values()
    assert run("tenant", "remove", "acme", "--env", "staging").code == 4
    assert staging.values() == before
    removed = run("tenant", "remove", "acme", "--env", "staging", "--yes")
    assert removed.code == 0
    assert "The API key api/keys/billing can still send for acme" in removed.text
    assert {name for name in staging.values() if not name.startswith("removed/")} == {
        "api/keys/billing",
        "senders/other/auth",
    }
    assert "removed" in run("tenant", "list", "--env", "staging").out
    occupied = run("tenant", "add", "acme", "--from", "hi@acme.example", "--env", "staging")
    assert occupied.code == 2
    assert "mailroom tenant restore acme" in occupied.text
    assert run("tenant", "restore", "acme", "--env", "staging").code == 0
    assert staging.values() == before


def test_only_a_removed_tenant_can_be_purged(run: Run, staging: Stored) -> None:
    staging.put(senders__acme__auth='{"from": "hi@acme.example"}')
    assert run("tenant", "purge", "acme", "--env", "staging", "--yes").code == 2
    run("tenant", "remove", "acme", "--env", "staging", "--yes")
    assert run("tenant", "purge", "acme", "--env", "staging").code == 4
    assert run("tenant", "purge", "acme", "--env", "staging", "--yes").code == 0
    assert staging.values() == {}
    assert run("tenant", "restore", "acme", "--env", "staging").code == 2


def test_a_domain_is_deleted_on_request_unless_another_tenant_uses_it(
    run: Run, resend: Sandbox, staging: Stored
) -> None:
    run(*ADD, "--providers", "resend")
    shared = ("tenant", "add", "twin", "--from", "hi@auth.acme.example", "--providers", "resend", "--env", "staging")
    run(*shared)
    for tenant, left in (("acme", True), ("twin", False)):
        run("tenant", "remove", tenant, "--env", "staging", "--yes")
        done = run("tenant", "purge", tenant, "--forget-domain", "--env", "staging", "--yes")
        assert done.code == 0, done.text
        assert (find_domain("resend", staging.values()) is not None) is left
        assert ("twin sends from it" in done.text) is left


def test_the_default_tenant_cannot_be_removed(run: Run, staging: Stored) -> None:
    staging.put(senders__default__auth='{"from": "hi@acme.example"}')
    assert run("tenant", "remove", "default", "--env", "staging", "--yes").code == 2
    assert run("tenant", "remove", "nobody", "--env", "staging", "--yes").code == 2


def test_a_tenant_in_production_requires_a_confirmation(run: Run, production: Stored, sandbox: Sandbox) -> None:
    for name, value in sandbox.settings("resend").items():
        production.put(**{f"providers__resend__{name}": value})
    before = production.values()
    command = (
        "tenant",
        "add",
        "acme",
        "--from",
        "hi@auth.acme.example",
        "--providers",
        "resend",
        "--env",
        "production",
    )
    assert run(*command).code == 4
    assert production.values() == before
    assert load("resend", Environment("production"), sandbox.settings("resend")).find("auth.acme.example") is None  # type: ignore[union-attr]
    assert run(*command, "--yes").code == 0


def test_the_list_without_tenants_is_a_sentence(run: Run) -> None:
    assert "has no tenant yet" in run("tenant", "list", "--env", "staging").out


def test_a_registrar_without_a_key_names_the_setting(cloud: str) -> None:
    with pytest.raises(InvalidInput, match="api_key is not set"):
        load("resend", Environment("staging"), {})


def test_the_time_until_functions_use_a_change_is_that_of_the_environment(run: Run, local_stack: Running) -> None:
    tenant = ("globex", "--from", "Globex <login@globex.example>", "--no-domain")
    assert "Functions read changes within five minutes." in run("tenant", "add", *tenant, "--env", "staging").text
    try:
        assert "Functions read changes within a second." in run("tenant", "add", *tenant).text
        assert run("send", "sign-in-code", "--to", local_stack.address(), "--tenant", "globex").code == 0
    finally:
        assert run("tenant", "remove", "globex", "--yes").code == 0
        assert run("tenant", "purge", "globex", "--yes").code == 0
