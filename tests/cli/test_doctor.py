"""`mailroom doctor`, against the running local stack and against a deployed one with faults."""

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from mailroom_ops.doctor import stack as stack_check
from mailroom_ops.environment import Environment
from mailroom_ops.sandbox.faults import Fault, Kind
from mailroom_ops.sandbox.server import Sandbox
from mailroom_ops.sandbox.smtp import SmtpSandbox
from tests.cli.helpers import Stored
from tests.command import Run
from tests.nameserver import Zones
from tests.running import Running

QUEUES = ("CodesQueue", "CodesDeadLetterQueue", "NoticesQueue", "NoticesDeadLetterQueue")
HOOK = "webhooks__logto__authorization"
STAGING = ("doctor", "--env", "staging", "--resolver", "127.0.0.1:1")


class Findings(list[dict[str, str]]):
    """The findings of one run, as JSON."""

    def of(self, subject: str) -> str:
        """Return the level and the sentence of each finding on a subject."""
        return " | ".join(f"{finding['level']} {finding['says']}" for finding in self if finding["subject"] == subject)


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


def test_the_local_stack_passes_every_check(examine: Examine, local_stack: Running) -> None:
    code, findings = examine(env="local")
    assert [finding for finding in findings if finding["level"] != "ok"] == []
    assert code == 0
    assert {finding["area"] for finding in findings} == {
        "stack",
        "settings",
        "providers",
        "domains",
        "endpoints",
        "queues",
        "quotas",
        "logos",
    }
    for subject in ("webhook default", "webhook acme", "send"):
        assert "rejects a wrong secret" in findings.of(subject)
    assert findings.of("codes dead letters") == "ok none"


def test_the_report_fits_a_terminal_and_ends_with_a_summary(run: Run, local_stack: Running) -> None:
    done = run("doctor")
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert "\nqueues\n" in done.out
    assert re.fullmatch(r"\d+ ok", done.out.splitlines()[-1])


def test_a_warning_fails_a_strict_run(run: Run, examine: Examine, local_stack: Running, tmp_path: Path) -> None:
    secret = "feedback/postmark/secret"
    assert run("secrets", "rotate", secret, "--out", str(tmp_path / "new.txt")).code == 0
    try:
        assert examine("--only", "settings", env="local")[0] == 0
        assert examine("--strict", "--only", "settings", env="local")[0] == 1
    finally:
        run("secrets", "rotate", secret, "--cancel")
    assert examine("--strict", env="local")[0] == 0


def test_a_local_tenant_of_ses_passes_every_check(run: Run, examine: Examine, local_stack: Running) -> None:
    run("tenant", "add", "globex", "--from", "Globex <hi@globex.example>", "--providers", "ses", "--no-domain", "--yes")
    try:
        code, findings = examine("--only", "providers", env="local")
    finally:
        run("tenant", "remove", "globex", "--yes")
        run("tenant", "purge", "globex", "--yes")
    assert code == 0
    assert findings.of("ses") == "ok is sent through its sandbox"


def test_a_test_mail_is_followed_to_the_provider(examine: Examine, local_stack: Running) -> None:
    reader = local_stack.address()
    code, findings = examine("--only", "queues", "--send-test-to", reader, "--wait", "1", env="local")
    assert code == 0
    assert "was sent through resend" in findings.of("test mail")
    assert "resend has not reported its delivery within 1 s" in findings.of("test mail")
    assert "000000" in local_stack.mail_to(reader).text


def test_a_test_mail_to_the_simulator_has_to_be_delivered(run: Run, examine: Examine, local_stack: Running) -> None:
    options = ("--only", "queues", "--send-test-to", "simulator", "--wait", "1", "--require-delivery")
    code, findings = examine(*options, env="local")
    assert code == 1
    assert "failed resend has not reported its delivery within 1 s" in findings.of("test mail")
    assert "000000" in local_stack.mail_to("delivered@resend.dev").text
    assert run("doctor", "--require-delivery").code == 2


def test_a_provider_without_a_simulator_needs_an_address(run: Run, deployed: dict[str, Any], staging: Stored) -> None:
    staging.put(senders__default__auth='{"providers": ["smtp"]}')
    done = run("doctor", "--env", "staging", "--only", "queues", "--send-test-to", "simulator", "--yes")
    assert done.code == 1
    assert "The provider 'smtp' has no simulator to send to." in done.text


def test_a_test_mail_that_is_not_sent_is_a_finding(examine: Examine, local_stack: Running) -> None:
    local_stack.sandbox.faults.add("resend", Fault(Kind.STATUS, status=422), 1)
    code, findings = examine("--only", "queues", "--send-test-to", local_stack.address(), env="local")
    assert code == 1
    assert "failed failed" in findings.of("test mail")
    code, findings = examine("--only", "queues", "--send-test-to", "nobody", env="local")
    assert code == 1
    assert "was refused: to:" in findings.of("test mail")


def test_dead_letters_are_a_finding(run: Run, examine: Examine, local_stack: Running) -> None:
    queue = local_stack.aws("sqs").get_queue_url(QueueName="mailroom-development-notices-dead-letters")["QueueUrl"]
    local_stack.aws("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    code, findings = examine("--only", "queues", env="local")
    assert run("dlq", "drop", "--lane", "notices", "--yes").code == 0
    assert code == 1
    assert findings.of("notices dead letters") == "failed 1 undelivered"
    assert findings.of("codes dead letters") == "ok none"


# ---- a deployed stack ----


class Endpoint(http.server.BaseHTTPRequestHandler):
    """Answers every request with one status."""

    status = 401

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(type(self).status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Endpoint, "status", 401)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def template(endpoint: str, **outputs: str) -> dict[str, Any]:
    named: dict[str, Any] = {
        "WebhookUrl": f"{endpoint}/webhooks/logto",
        "SendUrl": f"{endpoint}/v1/emails",
        "FeedbackUrl": f"{endpoint}/feedback",
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
def deployed(cloud: str, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A stack, and the checkout it was deployed from."""
    body = template(endpoint)
    (tmp_path / "template.yaml").write_text(json.dumps(body))
    monkeypatch.setattr(stack_check, "ROOT", tmp_path)
    monkeypatch.setattr(stack_check, "_commits_since", lambda moment: 0)
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    return body


@pytest.mark.parametrize(
    "variables", [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_REGION", "AWS_DEFAULT_REGION")]
)
def test_missing_access_ends_the_checks_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch, cloud: str, variables: tuple[str, str]
) -> None:
    for name in variables:
        monkeypatch.delenv(name)
    done = run("doctor", "--env", "staging")
    assert done.code == 3
    assert done.text.count("No AWS") == 1
    assert done.out == ""


def test_a_stopped_local_stack_ends_the_checks_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_URL", "http://127.0.0.1:1")
    done = run("doctor")
    assert (done.code, done.text.count("make run")) == (3, 1)


def test_a_missing_stack_is_named_with_the_command_that_deploys_it(examine: Examine) -> None:
    code, findings = examine("--only", "stack")
    assert code == 1
    assert "There is no stack mailroom-staging in eu-west-1." in findings.of("stack")
    assert "make deploy ENVIRONMENT=staging" in findings[-1]["todo"]


def test_a_current_stack_passes(examine: Examine, deployed: dict[str, Any]) -> None:
    code, findings = examine("--only", "stack")
    assert code == 0
    assert "ok is deployed" in findings.of("stack mailroom-staging")
    assert "ok is the same as this checkout" in findings.of("stack mailroom-staging")
    assert "is not fixed" in findings.of("egress IP")


def test_a_stack_that_differs_from_the_checkout_is_a_warning(
    examine: Examine, deployed: dict[str, Any], tmp_path: Path
) -> None:
    deployed["Resources"]["CodesQueue"]["Properties"]["VisibilityTimeout"] = 120
    deployed["Resources"]["CodesQueue"]["Metadata"] = {"SamResourceId": "CodesQueue"}
    deployed["Resources"]["NoticesQueue"]["Metadata"] = {"SamResourceId": "NoticesQueue"}
    (tmp_path / "template.yaml").write_text(json.dumps(deployed))
    findings = examine("--only", "stack")[1]
    assert "warning differs from template.yaml in CodesQueue" in findings.of("stack mailroom-staging")
    assert "NoticesQueue" not in findings.of("stack mailroom-staging")


def test_commits_since_the_deployment_are_counted(
    examine: Examine, deployed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_check, "_commits_since", lambda moment: 3)
    assert "is older than 3 commits" in examine("--only", "stack")[1].of("stack mailroom-staging")


def test_the_egress_address_is_shown(examine: Examine, cloud: str, endpoint: str) -> None:
    body = json.dumps(template(endpoint, EgressIp="192.0.2.7"))
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
def test_the_networks_of_the_webhook_are_checked(
    examine: Examine, cloud: str, endpoint: str, networks: str, level: str
) -> None:
    body = template(endpoint)
    body["Parameters"]["AllowedSourceCidrs"] = {"Type": "String", "Default": networks}
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    assert examine("--only", "stack")[1].of("AllowedSourceCidrs") == level


def test_good_settings_are_one_finding(examine: Examine, deployed: dict[str, Any], staging: Stored) -> None:
    staging.put(
        **{HOOK: "Bearer a-secret-of-logto"},
        providers__resend__api_key="re_0123456789abcdef",
        senders__default__auth='{"from": "Acme <hi@auth.acme.example>"}',
    )
    code, findings = examine("--only", "settings")
    assert code == 0
    assert findings.of("parameters") == "ok 3 are set and well formed"
    assert len(findings) == 1


def test_each_wrong_setting_is_named_with_what_to_do(
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
    code, findings = examine("--only", "settings")
    assert code == 1
    assert findings.of("webhooks/logto/authorization").startswith("warning has been in rotation since")
    assert findings.of("brands/acme") == "failed is malformed: it must be a JSON object, such as " + (
        '{"name": "Acme", "color": "#0f766e"}'
    )
    assert findings.of("providers/sengrid/api_key") == "warning is set, but nothing reads it"
    assert findings.of("providers/resend/api_key") == "failed is stored without encryption"
    assert "password is not set, but username is" in findings.of("providers/smtp")
    assert "the stack was deployed without ses" in findings.of("providers/ses")
    assert findings.of("senders/default/auth").startswith("warning has no from-address")
    assert "none is set up: nothing is sent (email_not_configured)" in findings.of("providers")
    assert all(finding["todo"] for finding in findings if finding["level"] != "ok")


def test_logto_may_be_missing_where_another_auth_server_sends(
    examine: Examine, deployed: dict[str, Any], staging: Stored
) -> None:
    staging.put(webhooks__supabase__secret="v1,whsec_bG9jYWwtc3VwYWJhc2Utc2VjcmV0LTAwMDE=")
    finding = examine("--only", "settings")[1].of("webhooks/logto/authorization")
    assert finding.startswith("warning is not set: Logto cannot send, another auth server can")


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
def test_a_sender_without_a_display_name_is_a_warning(
    examine: Examine, deployed: dict[str, Any], staging: Stored, settings: dict[str, str], warned: bool
) -> None:
    staging.put(**settings)
    finding = examine("--only", "settings")[1].of(next(iter(settings)).replace("__", "/"))
    assert finding.startswith("warning has no display name: inboxes show") == warned


def test_an_empty_environment_gets_the_first_step(examine: Examine, deployed: dict[str, Any]) -> None:
    code, findings = examine("--only", "settings")
    assert code == 1
    assert "Logto cannot send" in findings.of("webhooks/logto/authorization")
    assert "nothing is sent" in findings.of("providers")


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        (401, "ok answers"),
        (200, "failed accepted a request with a wrong secret"),
        (403, "warning rejects the address of this machine"),
        (404, "failed does not exist"),
        (429, "warning is rate limited"),
        (503, "failed answers with 503"),
    ],
)
def test_an_endpoint_has_to_reject_a_wrong_secret(
    examine: Examine,
    deployed: dict[str, Any],
    staging: Stored,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    finding: str,
) -> None:
    monkeypatch.setattr(Endpoint, "status", status)
    staging.put(**{HOOK: "Bearer a-secret-of-logto"}, webhooks__logto__acme__authorization="Bearer a-secret-of-acme")
    findings = examine("--only", "endpoints")[1]
    assert findings.of("webhook default").startswith(finding)
    assert findings.of("webhook acme").startswith(finding)


def test_an_endpoint_that_cannot_be_reached_is_a_finding(examine: Examine, cloud: str, staging: Stored) -> None:
    body = json.dumps(template("http://127.0.0.1:1"))
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=body)
    staging.put(api__keys__billing="0123456789abcdef", feedback__resend__secret="whsec_0123456789abcdef")
    code, findings = examine("--only", "endpoints")
    assert code == 1
    assert "cannot be reached" in findings.of("send")
    assert "cannot be reached" in findings.of("feedback resend")


def test_the_former_name_of_an_area_still_works(examine: Examine, deployed: dict[str, Any]) -> None:
    code, findings = examine("--only", "doors")
    assert (code, findings) == (0, [])


def test_a_feedback_event_that_failed_is_a_finding(examine: Examine, cloud: str, endpoint: str) -> None:
    body = template(endpoint)
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "feedback-dead-letters"}}
    body["Resources"]["FeedbackDeadLetterQueue"] = queue
    body["Outputs"]["FeedbackDeadLetterQueueUrl"] = {"Value": {"Ref": "FeedbackDeadLetterQueue"}}
    boto3.client("cloudformation").create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(body))
    sqs = boto3.client("sqs")
    assert examine("--only", "queues")[1].of("feedback dead letters") == "ok none"
    url = sqs.get_queue_url(QueueName="feedback-dead-letters")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    code, findings = examine("--only", "queues")
    assert code == 1
    assert findings.of("feedback dead letters") == "failed 1 undelivered"


def test_codes_that_wait_too_long_are_a_finding(examine: Examine, deployed: dict[str, Any]) -> None:
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
    code, findings = examine("--only", "queues")
    assert code == 1
    assert findings.of("codes queue") == "failed 0 waiting, 0 in flight, 0 delayed; the oldest message is 400 s old"
    assert findings.of("notices queue") == "ok 0 waiting, 0 in flight, 0 delayed; the oldest message is 400 s old"


# ---- provider accounts ----


def through(provider: str, staging: Stored, settings: dict[str, str], domain: str = "auth.acme.example") -> None:
    """Have all mail of staging leave through one provider."""
    staging.put(senders__default__auth=json.dumps({"from": f"hi@{domain}", "providers": [provider]}))
    staging.put(**{f"providers__{provider}__{name}": value for name, value in settings.items()})


KEYS = {"resend": "api_key", "sendgrid": "api_key", "mailgun": "api_key", "postmark": "server_token"}
OTHERS = {"postmark": "00000000-0000-4000-8000-nobodys00000"}


@pytest.mark.parametrize("provider", KEYS)
def test_an_invalid_key_is_named(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox, provider: str
) -> None:
    through(provider, staging, sandbox.settings(provider))
    assert examine("--only", "providers")[1][0]["says"].startswith(("the key is valid", "the token is valid"))
    staging.put(**{f"providers__{provider}__{KEYS[provider]}": OTHERS.get(provider, "re_nobodys_key_0123")})
    code, findings = examine("--only", "providers")
    assert "nobodys" not in json.dumps(findings)
    if provider == "mailgun":
        assert findings[0]["says"] == "does not let this key read: it may only send, or is wrong"
        return
    assert code == 1
    assert f"rejects the key in providers/{provider}/{KEYS[provider]}" in findings[0]["says"]


@pytest.mark.parametrize("provider", KEYS)
def test_a_provider_that_fails_is_a_finding(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox, provider: str
) -> None:
    through(provider, staging, sandbox.settings(provider))
    sandbox.faults.add(provider, Fault(Kind.STATUS, status=503), 1)
    assert examine("--only", "providers")[1][0]["says"].endswith("answers with 503")
    through(provider, staging, {"endpoint": "http://127.0.0.1:1"})
    assert "does not answer" in examine("--only", "providers")[1][0]["says"]


def test_resend_reports_test_mode_and_its_quota(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox
) -> None:
    through("resend", staging, {**sandbox.settings("resend"), "api_key": "re_sandbox_sending"})
    code, findings = examine("--only", "providers")
    assert (code, findings.of("resend")) == (0, "ok the key is valid, and restricted to sending")
    body = json.dumps({"object": "list", "has_more": False, "data": []})
    headers = {"x-resend-daily-quota": "93", "x-resend-monthly-quota": "200"}
    sandbox.faults.add("resend", Fault(Kind.REPLY, status=200, body=body, headers=headers), 1)
    code, findings = examine("--only", "providers")
    assert code == 1
    assert "is in test mode" in findings.of("resend")
    assert "has used 93 of a free account's 100 mails a day" in findings.of("resend")


def test_a_mailgun_domain_has_to_be_active(
    examine: Examine, deployed: dict[str, Any], staging: Stored, sandbox: Sandbox
) -> None:
    through("mailgun", staging, sandbox.settings("mailgun"), "unverified.example")
    assert examine("--only", "providers")[1].of("mailgun unverified.example") == "failed is unverified"
    through("mailgun", staging, {"domain": "unknown.example"})
    assert "is not registered there" in examine("--only", "providers")[1].of("mailgun unknown.example")


def test_ses_reports_its_sandbox_and_its_quota(examine: Examine, deployed: dict[str, Any], staging: Stored) -> None:
    through("ses", staging, {"region": "eu-central-1"})
    code, findings = examine("--only", "providers")
    assert code == 1
    assert "is in the sandbox" in findings.of("ses in eu-central-1")
    assert "0 of 200 mails a day used" in findings.of("ses in eu-central-1")
    through("ses", staging, {"configuration_set": "nowhere"})
    assert "has no configuration set nowhere" in examine("--only", "providers")[1].of("ses")


@pytest.mark.parametrize(
    ("endpoints", "finding"),
    [
        ([], "failed is no multi-region endpoint of eu-central-1"),
        ([("other.id", "READY")], "failed is no multi-region endpoint of eu-central-1"),
        ([("other.id", "READY"), ("abc123.456def", "CREATING")], "failed is not ready: creating"),
        ([("abc123.456def", "READY")], "ok is ready, in eu-central-1 and eu-west-1"),
    ],
)
def test_a_multi_region_endpoint_has_to_exist_and_to_be_ready(
    examine: Examine,
    deployed: dict[str, Any],
    staging: Stored,
    monkeypatch: pytest.MonkeyPatch,
    endpoints: list[tuple[str, str]],
    finding: str,
) -> None:
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answer(client: BaseClient, operation: str, parameters: object) -> Any:
        if operation != "ListMultiRegionEndpoints":  # which moto does not have
            return call(client, operation, parameters)
        return {
            "MultiRegionEndpoints": [
                {"EndpointId": endpoint_id, "Status": status, "Regions": ["eu-central-1", "eu-west-1"]}
                for endpoint_id, status in endpoints
            ]
        }

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    through("ses", staging, {"region": "eu-central-1", "endpoint_id": "abc123.456def"})
    assert examine("--only", "providers")[1].of("ses endpoint abc123.456def") == finding


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_relay_has_to_accept_the_certificate_and_the_login(
    examine: Examine, deployed: dict[str, Any], staging: Stored, authority: trustme.CA
) -> None:
    import ssl

    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    ca = authority.cert_pem.bytes().decode()
    for tls in ("starttls", "implicit"):
        with SmtpSandbox(tls=tls, certificate=certificate) as relay:
            through("smtp", staging, {**relay.settings(), "ca": ca})
            code, findings = examine("--only", "providers")
            assert (code, findings[0]["says"]) == (0, "answers, with TLS, and accepts the login")
            through("smtp", staging, {"password": "a-wrong-password"})
            assert "refuses the login" in examine("--only", "providers")[1][0]["says"]
            through("smtp", staging, {"ca": trustme.CA().cert_pem.bytes().decode()})
            assert "invalid certificate" in examine("--only", "providers")[1][0]["says"]


def test_a_relay_without_tls_or_without_an_answer_is_a_finding(
    examine: Examine, deployed: dict[str, Any], staging: Stored
) -> None:
    with SmtpSandbox(tls="none", allow_anonymous=True) as relay:
        through("smtp", staging, relay.settings())
        assert examine("--only", "providers")[1][0]["says"] == "answers, without TLS, and requires no login"
        through("smtp", staging, {"tls": "starttls"})
        assert examine("--only", "providers")[1][0]["says"] == "offers no TLS"
    assert "cannot be reached" in examine("--only", "providers")[1][0]["says"]


def test_an_account_without_an_api_can_only_be_checked_by_sending(
    examine: Examine, deployed: dict[str, Any], staging: Stored
) -> None:
    through(
        "http", staging, {"endpoint": "https://mail.acme.example", "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}
    )
    code, findings = examine("--only", "providers")
    assert (code, findings.of("http")) == (0, "warning can only be checked by sending")


# ---- domains ----


def test_a_domain_is_checked_at_its_provider_and_in_dns(
    run: Run, examine: Examine, deployed: dict[str, Any], staging: Stored, resend: Sandbox, nameserver: Zones
) -> None:
    add = ("tenant", "add", "default", "--from", "Acme <hi@auth.acme.example>", "--providers", "resend")
    lines = json.loads(run(*add, "--env", "staging", "--json").out)["zone"]
    amazon = '@ TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'
    address = nameserver({"acme.example": lines + "\n", "amazonses.com": amazon})
    code, findings = examine("--only", "domains", "--resolver", address)
    assert code == 1
    assert findings.of("resend auth.acme.example").startswith("failed is not verified yet: not_started")
    run("tenant", "verify", "default", "--env", "staging", "--resolver", address)
    code, findings = examine("--only", "domains", "--resolver", address)
    assert code == 0
    assert {finding["subject"].partition(" ")[0] for finding in findings} == {
        *("resend", "return", "SPF", "DKIM", "alignment", "DMARC", "separation")
    }


def test_an_unreachable_aws_is_a_finding(run: Run, monkeypatch: pytest.MonkeyPatch, cloud: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    done = run(*STAGING)
    assert done.code == 1
    assert "AWS cannot be reached" in done.text
    assert "Traceback" not in done.text


def test_a_test_mail_in_production_needs_a_confirmation(run: Run) -> None:
    refused = run("doctor", "--env", "production", "--send-test-to", "you@example.com")
    assert refused.code == 4


class Quotas:
    """The account-wide settings of Lambda, API Gateway, the parameter store and a table."""

    def __init__(self) -> None:
        self.concurrency, self.rate, self.high_throughput, self.warm = 1000, 10000.0, "true", 4000

    def __call__(self, environment: Environment, service: str, region: str | None = None) -> Any:
        return self

    def get_account_settings(self) -> Any:
        limits = {"ConcurrentExecutions": self.concurrency, "UnreservedConcurrentExecutions": self.concurrency}
        return {"AccountLimit": limits}

    def get_account(self) -> Any:
        return {"throttleSettings": {"rateLimit": self.rate, "burstLimit": 5000}}

    def get_service_setting(self, SettingId: str) -> Any:
        return {"ServiceSetting": {"SettingValue": self.high_throughput}}

    def describe_table(self, TableName: str) -> Any:
        return {"Table": {"TableName": TableName, "WarmThroughput": {"WriteUnitsPerSecond": self.warm}}}


@pytest.fixture
def quotas(monkeypatch: pytest.MonkeyPatch) -> Quotas:
    quotas = Quotas()
    stack = {"Outputs": [{"OutputKey": "LedgerTableName", "OutputValue": "mailroom-production-ledger"}]}
    monkeypatch.setattr(Environment, "client", lambda *arguments: quotas(*arguments))
    monkeypatch.setattr(Environment, "stack", stack)
    return quotas


def test_large_quotas_pass(examine: Examine, quotas: Quotas) -> None:
    code, findings = examine("--only", "quotas", env="production")
    assert (code, {finding["level"] for finding in findings}) == (0, {"ok"})
    assert "takes 4,000 writes a second at once, about 500 mails" in findings.of("ledger")


def test_the_small_quotas_of_a_new_account_come_with_the_request(examine: Examine, quotas: Quotas) -> None:
    quotas.concurrency, quotas.rate, quotas.high_throughput = 10, 100.0, "false"
    code, findings = examine("--only", "quotas", env="production")
    assert code == 0, "they are warnings"
    assert findings.of("Lambda concurrency") == "warning 10 executions at a time, of which 10 are not reserved"
    todo = {finding["subject"]: finding["todo"] for finding in findings}
    assert "L-B99A9384 --desired-value 1000" in todo["Lambda concurrency"]
    assert "WebhookReservedConcurrency" in todo["Lambda concurrency"]
    assert "high-throughput-enabled" in todo["parameter store"]
    assert "warning 100 requests a second" in findings.of("API Gateway")


def test_a_quota_that_cannot_be_read_is_a_warning(
    examine: Examine, quotas: Quotas, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "GetAccountSettings")

    def refuse() -> None:
        raise refusal

    monkeypatch.setattr(quotas, "get_account_settings", refuse)
    code, findings = examine("--only", "quotas", env="production")
    assert code == 0
    assert "You have no permission for GetAccountSettings." in findings.of("quotas")
