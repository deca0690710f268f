"""The doctor: against the whole running stack, and against a deployed one with everything that can be wrong with it."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme

from mailroom_ops.doctor import stack as stack_check
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.cli.conftest import Run, Stored
from tests.nameserver import Zones
from tests.running import Running

QUEUES = ("CodesQueue", "CodesDeadLetterQueue", "NoticesQueue", "NoticesDeadLetterQueue")
HOOK = "webhooks__logto__authorization"
STAGING = ("doctor", "--env", "staging", "--resolver", "127.0.0.1:1")


class Findings(list[dict[str, str]]):
    """What a doctor said, as it says it to a machine."""

    def of(self, subject: str) -> str:
        """Return how a subject stands, with what was said of it."""
        return " | ".join(f"{one['level']} {one['says']}" for one in self if one["subject"] == subject)


Examine = Callable[..., tuple[int, Findings]]


@pytest.fixture
def examine(run: Run) -> Examine:
    def call(*arguments: str, env: str = "staging") -> tuple[int, Findings]:
        done = run("doctor", "--env", env, "--json", *arguments)
        assert done.out.startswith("{"), done.err
        report = json.loads(done.out)
        assert report["environment"] == env
        return done.code, Findings(report["findings"])

    return call


def test_the_local_stack_is_found_in_order(examine: Examine, at_home: Running) -> None:
    code, found = examine(env="local")
    assert [one for one in found if one["level"] == "failed"] == []
    assert code == 0
    assert {one["area"] for one in found} == {"stack", "settings", "providers", "domains", "doors", "queues"}
    for subject in ("webhook default", "webhook acme", "send"):
        assert "refuses a wrong secret" in found.of(subject)
    assert found.of("dead letters codes") == "ok none"


def test_it_fits_a_terminal_and_ends_with_a_sum(run: Run, at_home: Running) -> None:
    done = run("doctor")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert "\nqueues\n" in done.out
    assert done.out.splitlines()[-1].endswith("1 warning")


def test_warnings_count_where_it_is_strict(examine: Examine, at_home: Running) -> None:
    assert examine("--strict", env="local")[0] == 1
    assert examine("--strict", "--only", "queues", env="local")[0] == 0


def test_a_test_mail_is_followed_to_the_provider(examine: Examine, at_home: Running) -> None:
    reader = at_home.address()
    code, found = examine("--only", "queues", "--send-test-to", reader, "--wait", "1", env="local")
    assert code == 0
    assert "resend took it" in found.of("test mail")
    assert "resend has not reported its delivery within 1 s" in found.of("test mail")
    assert "000000" in at_home.mail_to(reader).text


def test_a_test_mail_that_does_not_go_is_named(examine: Examine, at_home: Running) -> None:
    at_home.sandbox.faults.add("resend", Fault(Kind.STATUS, status=422), 1)
    code, found = examine("--only", "queues", "--send-test-to", at_home.address(), env="local")
    assert code == 1
    assert "failed failed" in found.of("test mail")
    code, found = examine("--only", "queues", "--send-test-to", "nobody", env="local")
    assert code == 1
    assert "was refused: to:" in found.of("test mail")


def test_dead_letters_are_found(run: Run, examine: Examine, at_home: Running) -> None:
    queue = at_home.aws("sqs").get_queue_url(QueueName="mailroom-development-notices-dead-letters")["QueueUrl"]
    at_home.aws("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    code, found = examine("--only", "queues", env="local")
    assert run("dlq", "drop", "--lane", "notices", "--yes").code == 0
    assert code == 1
    assert found.of("dead letters notices") == "failed 1 could not be sent"
    assert found.of("dead letters codes") == "ok none"


# ---- a deployed stack ----


class Door(http.server.BaseHTTPRequestHandler):
    """Answers every request with the status it was asked for."""

    status = 401

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(type(self).status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Door, "status", 401)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def template(door: str, **outputs: str) -> dict[str, Any]:
    named: dict[str, Any] = {
        "WebhookUrl": f"{door}/webhooks/logto",
        "SendUrl": f"{door}/v1/emails",
        "FeedbackUrl": f"{door}/feedback",
        **outputs,
        **{f"{name}Url": {"Ref": name} for name in QUEUES},
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"Providers": {"Type": "String", "Default": "resend"}},
        "Resources": {
            name: {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"staging-{name}"}} for name in QUEUES
        },
        "Outputs": {name: {"Value": value} for name, value in named.items()},
    }


@pytest.fixture
def deployed(cloud: str, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A stack, and the checkout it was deployed from."""
    body = template(door)
    (tmp_path / "template.yaml").write_text(json.dumps(body))
    monkeypatch.setattr(stack_check, "ROOT", tmp_path)
    monkeypatch.setattr(stack_check, "_commits_since", lambda moment: 0)
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    return body


def test_no_stack_is_named_with_the_command_that_deploys_it(examine: Examine) -> None:
    code, found = examine("--only", "stack")
    assert code == 1
    assert "There is no stack mailroom-staging in eu-west-1." in found.of("stack")
    assert "make deploy ENVIRONMENT=staging" in found[-1]["todo"]


def test_a_stack_that_is_deployed_and_current_is_fine(examine: Examine, deployed: dict[str, Any]) -> None:
    code, found = examine("--only", "stack")
    assert code == 0
    assert "ok is deployed" in found.of("stack mailroom-staging")
    assert "ok is what this checkout says" in found.of("stack mailroom-staging")
    assert "is not fixed" in found.of("egress IP")


def test_a_stack_that_differs_from_this_checkout_is_named(
    examine: Examine, deployed: dict[str, Any], tmp_path: Path
) -> None:
    deployed["Resources"]["CodesQueue"]["Properties"]["VisibilityTimeout"] = 120
    deployed["Resources"]["CodesQueue"]["Metadata"] = {"SamResourceId": "CodesQueue"}
    deployed["Resources"]["NoticesQueue"]["Metadata"] = {"SamResourceId": "NoticesQueue"}
    (tmp_path / "template.yaml").write_text(json.dumps(deployed))
    found = examine("--only", "stack")[1]
    assert "warning differs from template.yaml here: CodesQueue" in found.of("stack mailroom-staging")
    assert "NoticesQueue" not in found.of("stack mailroom-staging")


def test_commits_since_the_deployment_are_counted(
    examine: Examine, deployed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_check, "_commits_since", lambda moment: 3)
    assert "is older than 3 commits" in examine("--only", "stack")[1].of("stack mailroom-staging")


def test_the_egress_address_is_told(examine: Examine, cloud: str, door: str) -> None:
    body = json.dumps(template(door, EgressIp="192.0.2.7"))
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=body)
    assert "is 192.0.2.7" in examine("--only", "stack")[1].of("egress IP")


@pytest.mark.parametrize(
    ("networks", "level"),
    [
        ("", ""),
        ("203.0.113.0/24, 2001:db8::/32", ""),
        ("203.0.113.0/24,203.0.113.5/24", "warning 203.0.113.5/24 allows all of 203.0.113.0/24"),
        ("203.0.113.0/24,999.1.1.1/8", "failed contains 999.1.1.1/8, which is not a network: the webhook refuses all"),
    ],
)
def test_networks_that_may_call_the_webhook_are_checked(
    examine: Examine, cloud: str, door: str, networks: str, level: str
) -> None:
    body = template(door)
    body["Parameters"]["AllowedSourceCidrs"] = {"Type": "String", "Default": networks}
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    assert examine("--only", "stack")[1].of("AllowedSourceCidrs") == level


def test_settings_in_order_are_one_line(examine: Examine, deployed: dict[str, Any], staging: Stored) -> None:
    staging.put(
        **{HOOK: "Bearer a-secret-of-logto"},
        providers__resend__api_key="re_0123456789abcdef",
        senders__default__auth='{"from": "Acme <hi@auth.acme.example>"}',
    )
    code, found = examine("--only", "settings")
    assert code == 0
    assert found.of("parameters") == "ok 3 are set, and well formed"
    assert len(found) == 1


def test_each_setting_that_is_wrong_is_named_with_what_to_do(
    examine: Examine, deployed: dict[str, Any], staging: Stored
) -> None:
    staging.put(
        **{HOOK: "Bearer a-new-secret\nBearer an-old-secret"},
        brands__acme="{",
        senders__default__auth='{"providers": ["smtp", "ses"]}',
        providers__smtp__host="smtp.acme.example",
        providers__smtp__username="mailer",
        providers__sengrid__api_key="SG.0123456789abcdef",
    )
    boto3.client("ssm").put_parameter(
        Name="/mailroom/staging/providers/resend/api_key", Value="re_0123456789", Type="String"
    )
    code, found = examine("--only", "settings")
    assert code == 1
    assert found.of("webhooks/logto/authorization").startswith("warning is being rotated since")
    assert found.of("brands/acme") == "failed is malformed: it must be a JSON object, such as " + (
        '{"name": "Acme", "color": "#0f766e"}'
    )
    assert found.of("providers/sengrid/api_key") == "warning is set, but nothing reads it"
    assert found.of("providers/resend/api_key") == "failed is stored in the clear"
    assert "password is not set, but username is" in found.of("providers/smtp")
    assert "the stack was deployed without ses" in found.of("providers/ses")
    assert found.of("senders/default/auth").startswith("warning has no from-address")
    assert "none is set up: nothing is sent (email_not_configured)" in found.of("providers")
    assert all(one["todo"] for one in found if one["level"] != "ok")


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"senders__acme__auth": '{"from": "login@acme.example"}'}, True),
        ({"senders__acme__notification": '{"from": "news@acme.example"}'}, True),
        ({"senders__acme__auth": '{"from": "Acme <login@acme.example>"}'}, False),
        ({"senders__acme__auth": '{"from": "login@acme.example"}', "brands__acme": '{"name": "Acme"}'}, False),
        ({"senders__acme__auth": '{"reply_to": "help@acme.example"}'}, False),
    ],
)
def test_a_sender_without_a_display_name_is_named(
    examine: Examine, deployed: dict[str, Any], staging: Stored, settings: dict[str, str], warned: bool
) -> None:
    staging.put(**settings)
    finding = examine("--only", "settings")[1].of(next(iter(settings)).replace("__", "/"))
    assert finding.startswith("warning has no display name: inboxes show") == warned


def test_an_empty_environment_says_what_to_begin_with(examine: Examine, deployed: dict[str, Any]) -> None:
    code, found = examine("--only", "settings")
    assert code == 1
    assert "Logto cannot hand over mail" in found.of("webhooks/logto/authorization")
    assert "nothing is sent" in found.of("providers")


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        (401, "ok answers"),
        (200, "failed took a request with a wrong secret"),
        (403, "warning refuses this machine's address"),
        (404, "failed is not there"),
        (429, "warning is asked too often"),
        (503, "failed answers with 503"),
    ],
)
def test_a_door_has_to_refuse_a_wrong_secret(
    examine: Examine,
    deployed: dict[str, Any],
    staging: Stored,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    stands: str,
) -> None:
    monkeypatch.setattr(Door, "status", status)
    staging.put(**{HOOK: "Bearer a-secret-of-logto"}, webhooks__logto__acme__authorization="Bearer a-secret-of-acme")
    found = examine("--only", "doors")[1]
    assert found.of("webhook default").startswith(stands)
    assert found.of("webhook acme").startswith(stands)


def test_a_door_nobody_stands_behind_is_named(examine: Examine, cloud: str, staging: Stored) -> None:
    body = json.dumps(template("http://127.0.0.1:1"))
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=body)
    staging.put(api__keys__billing="0123456789abcdef", feedback__resend__secret="whsec_0123456789abcdef")
    code, found = examine("--only", "doors")
    assert code == 1
    assert "cannot be reached" in found.of("send")
    assert "cannot be reached" in found.of("feedback resend")


def test_codes_that_wait_too_long_are_found(examine: Examine, deployed: dict[str, Any]) -> None:
    boto3.client("cloudwatch").put_metric_data(
        Namespace="AWS/SQS",
        MetricData=[
            {
                "MetricName": "ApproximateAgeOfOldestMessage",
                "Dimensions": [{"Name": "QueueName", "Value": f"staging-{name}Queue"}],
                "Value": 400,
                "Timestamp": datetime.now(UTC),
            }
            for name in ("Codes", "Notices")
        ],
    )
    code, found = examine("--only", "queues")
    assert code == 1
    assert found.of("lane codes").startswith("failed the oldest message waits for 400 s")
    assert found.of("lane notices").startswith("ok the oldest message waited for 400 s")


# ---- provider accounts ----


def through(provider: str, staging: Stored, settings: dict[str, str], domain: str = "auth.acme.example") -> None:
    """Have all mail of staging leave through one provider."""
    staging.put(senders__default__auth=json.dumps({"from": f"hi@{domain}", "providers": [provider]}))
    staging.put(**{f"providers__{provider}__{name}": value for name, value in settings.items()})


KEYS = {"resend": "api_key", "sendgrid": "api_key", "mailgun": "api_key", "postmark": "server_token"}
OTHERS = {"postmark": "00000000-0000-4000-8000-nobodys00000"}


@pytest.mark.parametrize("provider", KEYS)
def test_a_key_is_good_or_it_is_named(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox, provider: str
) -> None:
    through(provider, staging, sandbox.settings(provider))
    assert examine("--only", "providers")[1][0]["says"].startswith(("the key is good", "the token is good"))
    staging.put(**{f"providers__{provider}__{KEYS[provider]}": OTHERS.get(provider, "re_nobodys_key_0123")})
    code, found = examine("--only", "providers")
    assert "nobodys" not in json.dumps(found)
    if provider == "mailgun":
        assert found[0]["says"] == "does not let this key look: it is a sending key, or a wrong one"
        return
    assert code == 1
    assert f"does not know the key in providers/{provider}/{KEYS[provider]}" in found[0]["says"]


@pytest.mark.parametrize("provider", KEYS)
def test_a_provider_that_fails_is_named(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox, provider: str
) -> None:
    through(provider, staging, sandbox.settings(provider))
    sandbox.faults.add(provider, Fault(Kind.STATUS, status=503), 1)
    assert examine("--only", "providers")[1][0]["says"].endswith("answers with 503")
    through(provider, staging, {"endpoint": "http://127.0.0.1:1"})
    assert "does not answer" in examine("--only", "providers")[1][0]["says"]


def test_resend_may_only_send_play_or_run_out(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox
) -> None:
    through("resend", staging, {**sandbox.settings("resend"), "api_key": "re_sandbox_sending"})
    code, found = examine("--only", "providers")
    assert (code, found.of("resend")) == (0, "ok the key is good, and may only send, as it should")
    body = json.dumps({"object": "list", "has_more": False, "data": []})
    headers = {"x-resend-daily-quota": "93", "x-resend-monthly-quota": "200"}
    sandbox.faults.add("resend", Fault(Kind.REPLY, status=200, body=body, headers=headers), 1)
    code, found = examine("--only", "providers")
    assert code == 1
    assert "is in test mode" in found.of("resend")
    assert "has used 93 of a free account's 100 mails a day" in found.of("resend")


def test_a_mailgun_domain_is_active_or_it_is_named(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox
) -> None:
    through("mailgun", staging, sandbox.settings("mailgun"), "unverified.example")
    assert examine("--only", "providers")[1].of("mailgun unverified.example") == "failed is unverified"
    through("mailgun", staging, {"domain": "unknown.example"})
    assert "is not registered there" in examine("--only", "providers")[1].of("mailgun unknown.example")


def test_ses_tells_its_sandbox_and_its_quota(examine: Examine, deployed: dict[str, Any], staging: Stored) -> None:
    through("ses", staging, {"region": "eu-central-1"})
    code, found = examine("--only", "providers")
    assert code == 1
    assert "is in the sandbox" in found.of("ses in eu-central-1")
    assert "0 of 200 mails a day are sent" in found.of("ses in eu-central-1")
    through("ses", staging, {"configuration_set": "nowhere"})
    assert "has no configuration set nowhere" in examine("--only", "providers")[1].of("ses")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_relay_answers_and_takes_the_login(
    examine: Examine, deployed: dict[str, Any], staging: Stored, authority: trustme.CA
) -> None:
    import ssl

    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    ca = authority.cert_pem.bytes().decode()
    for tls in ("starttls", "implicit"):
        with SmtpSandbox(tls=tls, certificate=certificate) as relay:
            through("smtp", staging, {**relay.settings(), "ca": ca})
            code, found = examine("--only", "providers")
            assert (code, found[0]["says"]) == (0, "answers, encrypted, and the login is good")
            through("smtp", staging, {"password": "a-wrong-password"})
            assert "refuses the login" in examine("--only", "providers")[1][0]["says"]
            through("smtp", staging, {"ca": trustme.CA().cert_pem.bytes().decode()})
            assert "certificate that does not fit" in examine("--only", "providers")[1][0]["says"]


def test_a_relay_that_does_not_encrypt_or_answer_is_named(
    examine: Examine, deployed: dict[str, Any], staging: Stored
) -> None:
    with SmtpSandbox(tls="none", open_to_all=True) as relay:
        through("smtp", staging, relay.settings())
        assert examine("--only", "providers")[1][0]["says"] == "answers, not encrypted, and it wants no login"
        through("smtp", staging, {"tls": "starttls"})
        assert examine("--only", "providers")[1][0]["says"] == "offers no encryption"
    assert "cannot be reached" in examine("--only", "providers")[1][0]["says"]


def test_what_can_only_be_tried_by_sending_says_so(examine: Examine, deployed: dict[str, Any], staging: Stored) -> None:
    through(
        "http", staging, {"endpoint": "https://mail.acme.example", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}
    )
    code, found = examine("--only", "providers")
    assert (code, found.of("http")) == (0, "warning can only be tried by sending")


# ---- domains ----


def test_a_domain_is_followed_from_its_provider_to_dns(
    run: Run, examine: Examine, deployed: dict[str, Any], staging: Stored, resend: Sandbox, nameserver: Zones
) -> None:
    add = ("tenant", "add", "default", "--from", "Acme <hi@auth.acme.example>", "--providers", "resend")
    lines = json.loads(run(*add, "--env", "staging", "--json").out)["zone"]
    amazon = '@ TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'
    address = nameserver({"acme.example": lines + "\n", "amazonses.com": amazon})
    code, found = examine("--only", "domains", "--resolver", address)
    assert code == 1
    assert found.of("resend auth.acme.example").startswith("failed is not verified yet: not_started")
    run("tenant", "verify", "default", "--env", "staging", "--resolver", address)
    code, found = examine("--only", "domains", "--resolver", address)
    assert code == 0
    assert {one["subject"].partition(" ")[0] for one in found} == {
        *("resend", "return", "SPF", "DKIM", "alignment", "DMARC", "separation")
    }


def test_an_environment_without_aws_is_a_finding_and_not_a_crash(
    run: Run, monkeypatch: pytest.MonkeyPatch, cloud: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    done = run(*STAGING)
    assert done.code == 1
    assert "AWS does not answer" in done.said
    assert "Traceback" not in done.said


def test_production_is_sent_to_only_when_somebody_says_so(run: Run) -> None:
    refused = run("doctor", "--env", "production", "--send-test-to", "you@example.com")
    assert refused.code == 4
