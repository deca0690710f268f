"""The stack of `sam deploy`: template.yaml with its conditions and intrinsic functions resolved."""

import ast
import ipaddress
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailroom.ledger.table import LEASE_SECONDS
from mailroom.providers import NAMES
from mailroom.sources import registry
from mailroom.sources.caller_content import MAX_CONTENT_BYTES
from mailroom_ops.cloudformation import loader as template_file
from mailroom_ops.cloudformation.intrinsics import Template, TemplateError

ROOT = Path(__file__).parent.parent
BODY = template_file.load(ROOT / "template.yaml")
ENVIRONMENTS = ("development", "staging", "production")
FUNCTIONS = ("Webhook", "Rendered", "Send", "Deliver", "Feedback", "Link", "Notify")
LANES = ("Codes", "Notices")
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "mailroom",
}

SSM = "arn:aws:ssm:eu-west-1:123456789012:parameter/mailroom/production/"
TABLES = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
BUS = "arn:aws:events:eu-west-1:123456789012:event-bus/outcomes"
QUEUES = {"CodesQueue.Arn", "NoticesQueue.Arn"}
DEAD_LETTERS = {"CodesDeadLetterQueue.Arn", "NoticesDeadLetterQueue.Arn"}


class Stack:
    """The template, deployed with these parameters."""

    def __init__(self, **parameters: str) -> None:
        self.template = Template.deploy(BODY, {"Environment": "production", **parameters}, PSEUDO)
        self.template.attributes = template_file.PlaceholderAttributes()

    def __getitem__(self, logical_id: str) -> Any:
        return self.template.resolve(BODY["Resources"][logical_id]["Properties"])

    def has(self, logical_id: str) -> bool:
        return self.template.holds(BODY["Resources"][logical_id].get("Condition"))

    def statements(self, function: str) -> list[dict[str, Any]]:
        """Everything that the role of a function allows."""
        role = self[f"{function}Role"]
        documents = [policy["PolicyDocument"] for policy in role["Policies"]]
        documents += [self[name]["PolicyDocument"] for name in role.get("ManagedPolicyArns", [])]
        return [statement for document in documents for statement in document["Statement"]]

    def permissions(self, function: str) -> dict[str, set[str]]:
        """An action, and the resources for which a function has it."""
        allowed: dict[str, set[str]] = {}
        for statement in self.statements(function):
            if statement["Effect"] == "Deny":
                continue
            for action in listed(statement["Action"]):
                allowed.setdefault(action, set()).update(listed(statement["Resource"]))
        return allowed


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def own_log(function: str) -> dict[str, set[str]]:
    return {action: {f"{function}LogGroup.Arn"} for action in ("logs:CreateLogStream", "logs:PutLogEvents")}


def may_read(*names: str) -> dict[str, set[str]]:
    return {"ssm:GetParameters": {SSM + name for name in names}}


def may_list(*paths: str) -> dict[str, set[str]]:
    return {"ssm:GetParametersByPath": {SSM + path for path in paths}}


TAKE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
SEALED = [f"webhooks/{name}" for name in registry.SEALED]
DELIVERY = {
    **may_read("providers/*", "senders/*", "brands/*", "templates/*", "limits/*", "callbacks/*", "ledger/address_key"),
    "ssm:PutParameter": {f"{SSM}ledger/address_key"},
    "sqs:SendMessage": QUEUES | {"OutcomesQueue.Arn"},
    "dynamodb:GetItem": {"LedgerTable.Arn"},
    "dynamodb:UpdateItem": {"LedgerTable.Arn"},
}
PERMISSIONS = {
    "Webhook": own_log("Webhook")
    | may_list(*(f"webhooks/{name}" for name in registry.NAMES))
    | may_read(*(f"webhooks/{name}/*" for name in registry.NAMES))
    | {"sqs:SendMessage": QUEUES},
    "Rendered": own_log("Rendered")
    | may_list(*SEALED)
    | may_read(*(f"{path}/*" for path in SEALED), "ledger/address_key")
    | {"ssm:PutParameter": {f"{SSM}ledger/address_key"}, "sqs:SendMessage": QUEUES},
    "Send": own_log("Send") | may_list("api/keys") | DELIVERY,
    "Deliver": own_log("Deliver")
    | DELIVERY
    | dict.fromkeys(TAKE, QUEUES)
    | {"sqs:SendMessage": QUEUES | DEAD_LETTERS | {"OutcomesQueue.Arn"}}
    | {"dynamodb:BatchGetItem": {"LedgerTable.Arn"}},
    "Feedback": own_log("Feedback")
    | may_list("feedback")
    | may_read("feedback/*", "suppression/*", "callbacks/*", "ledger/address_key")
    | {f"dynamodb:{action}": {"LedgerTable.Arn"} for action in ("GetItem", "PutItem", "UpdateItem")}
    | {"dynamodb:Query": {f"{TABLES}LedgerTable/index/by_provider_id"}}
    | {"sqs:SendMessage": {"FeedbackDeadLetterQueue.Arn", "OutcomesQueue.Arn"}},
    "Notify": own_log("Notify")
    | may_read("callbacks/*")
    | {"sqs:SendMessage": {"OutcomesQueue.Arn", "OutcomesDeadLetterQueue.Arn"}}
    | {action: {"OutcomesQueue.Arn"} for action in TAKE if action != "sqs:ChangeMessageVisibility"},
    "Link": own_log("Link") | may_list("brands") | may_read("brands/*"),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_only_the_permissions_it_needs(function: str) -> None:
    assert Stack().permissions(function) == PERMISSIONS[function]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_reaches_no_secret_of_another(environment: str, function: str) -> None:
    allowed = Stack(Environment=environment).permissions(function)
    reached = {resource for action, resources in allowed.items() if action.startswith("ssm:") for resource in resources}
    assert reached
    assert all(f":parameter/mailroom/{environment}/" in resource for resource in reached)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_option_makes_a_permission_broad(function: str) -> None:
    stack = Stack(Providers="resend, ses", FixedEgressIp="true", SnapStart="on", Tracing="Active")
    for action, resources in stack.permissions(function).items():
        assert "*" not in action
        # EC2 lets nothing narrower in before a network interface exists; X-Ray has no resources.
        assert "*" not in resources or action.startswith(("ec2:", "xray:"))


@pytest.mark.parametrize(("chain", "allowed"), [("resend", False), ("resend, ses", True), ("ses", True), ("", False)])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_senders_may_use_ses_and_only_where_it_is_in_the_chain(function: str, chain: str, allowed: bool) -> None:
    granted = Stack(Providers=chain).permissions(function).get("ses:SendEmail")
    assert bool(granted) is (allowed and function in ("Send", "Deliver"))


@pytest.mark.parametrize("function", ["Send", "Deliver", "Rendered"])
def test_the_address_key_is_written_only_where_there_is_none(function: str) -> None:
    writes = [s for s in Stack().statements(function) if s["Action"] == "ssm:PutParameter"]
    assert [statement["Condition"] for statement in writes] == [{"StringEquals": {"ssm:Overwrite": "false"}}]


def test_each_call_to_aws_that_the_package_makes_is_granted() -> None:
    made = {
        f"{call.args[0].value!s}:{call.args[1].value!s}"
        for path in (ROOT / "layers/mailroom/mailroom").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "call"
        if len(call.args) == 3 and isinstance(call.args[0], ast.Constant) and isinstance(call.args[1], ast.Constant)
    }
    store = ast.parse((ROOT / "layers/mailroom/mailroom/aws/parameter_store.py").read_text())
    made |= {
        f"ssm:{call.args[0].value!s}"
        for call in ast.walk(store)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "_call"
        if isinstance(call.args[0], ast.Constant)
    }
    granted = {action for function in FUNCTIONS for action in Stack(OutcomeBus=BUS).permissions(function)}
    assert {"sqs:SendMessage", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:PutParameter"} <= made
    assert {action.replace("MessageBatch", "Message") for action in made} <= granted  # one right is for both


@pytest.mark.parametrize("bus", ["", BUS])
def test_only_notify_may_put_events_on_the_bus_and_only_if_there_is_one(bus: str) -> None:
    stack = Stack(OutcomeBus=bus)
    granted = {function: stack.permissions(function).get("events:PutEvents") for function in FUNCTIONS}
    assert granted == {**dict.fromkeys(FUNCTIONS), "Notify": {bus} if bus else None}
    reporting = ("Send", "Deliver", "Feedback", "Notify")
    variables = {f: stack[f"{f}Function"]["Environment"]["Variables"].get("OUTCOME_BUS") for f in FUNCTIONS}
    assert variables == {**dict.fromkeys(FUNCTIONS), **dict.fromkeys(reporting, bus)}


def test_only_lambda_may_take_the_roles() -> None:
    for function in FUNCTIONS:
        document = Stack()[f"{function}Role"]["AssumeRolePolicyDocument"]
        assert [s["Principal"] for s in document["Statement"]] == [{"Service": "lambda.amazonaws.com"}]


@pytest.mark.parametrize("lane", LANES)
def test_the_visibility_timeout_is_six_times_delivers_timeout(lane: str) -> None:
    stack = Stack()
    assert stack[f"{lane}Queue"]["VisibilityTimeout"] >= 6 * stack["DeliverFunction"]["Timeout"]


@pytest.mark.parametrize("function", ["Send", "Deliver"])
def test_a_lease_lasts_longer_than_a_function_that_holds_it_may_run(function: str) -> None:
    assert Stack()[f"{function}Function"]["Timeout"] < LEASE_SECONDS


@pytest.mark.parametrize("lane", LANES)
def test_each_lane_has_a_dead_letter_queue_for_two_weeks(lane: str) -> None:
    stack = Stack()
    queue, dead = stack[f"{lane}Queue"], stack[f"{lane}DeadLetterQueue"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": f"{lane}DeadLetterQueue.Arn", "maxReceiveCount": 10}
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600 > queue["MessageRetentionPeriod"]


@pytest.mark.parametrize("lane", LANES)
def test_a_rendered_message_of_any_size_fits_into_its_queue(lane: str) -> None:
    stack = Stack()
    for queue in (f"{lane}Queue", f"{lane}DeadLetterQueue"):
        # In ASCII-only JSON, content takes up to three bytes for each of its own.
        assert stack[queue]["MaximumMessageSize"] == 1024 * 1024 > 3 * MAX_CONTENT_BYTES + 200_000


def test_an_outcome_event_is_retried_by_notify_and_kept_for_two_weeks() -> None:
    stack = Stack()
    queue, function = stack["OutcomesQueue"], stack["NotifyFunction"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": "OutcomesDeadLetterQueue.Arn", "maxReceiveCount": 10}
    assert stack["OutcomesDeadLetterQueue"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    event = function["Events"]["Outcomes"]["Properties"]
    assert (event["Queue"], event["FunctionResponseTypes"]) == ("OutcomesQueue.Arn", ["ReportBatchItemFailures"])
    alarm = stack["OutcomesDeadLetterAlarm"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "OutcomesDeadLetterQueue.QueueName"}]


@pytest.mark.parametrize("lane", LANES)
def test_deliver_reads_each_lane_alone_and_reports_single_failures(lane: str) -> None:
    event = Stack()["DeliverFunction"]["Events"][lane]["Properties"]
    assert event["Queue"] == f"{lane}Queue.Arn"
    assert event["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "MaximumBatchingWindowInSeconds" not in event
    assert int(event["ScalingConfig"]["MaximumConcurrency"]) >= 2


def test_queues_table_and_topics_are_encrypted() -> None:
    stack = Stack()
    assert stack["LedgerTable"]["SSESpecification"] == {"SSEEnabled": True}
    for lane in LANES:
        assert stack[f"{lane}Queue"]["SqsManagedSseEnabled"] is True
        assert stack[f"{lane}DeadLetterQueue"]["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_ledger_of_production_can_be_restored(environment: str) -> None:
    stack = Stack(Environment=environment)
    table, precious = stack["LedgerTable"], environment == "production"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": precious}
    assert table["DeletionProtectionEnabled"] is precious
    assert (stack.template.resolve(BODY["Resources"]["LedgerTable"]["DeletionPolicy"]) == "Retain") is precious


def test_the_ledger_is_billed_by_request_and_expires_by_ttl() -> None:
    table = Stack()["LedgerTable"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]


def test_an_index_of_the_ledger_is_written_once_per_mail_keys_only() -> None:
    table = Stack()["LedgerTable"]
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert set(indexes) == {"by_recipient", "by_tenant", "by_time", "by_provider_id"}
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes.values())
    keys = {key["AttributeName"] for index in indexes.values() for key in index["KeySchema"]} | {"pk"}
    assert keys == {definition["AttributeName"] for definition in table["AttributeDefinitions"]}


def test_ses_reports_only_events_of_our_mails() -> None:
    (rule,) = [e for e in Stack()["FeedbackFunction"]["Events"].values() if e["Type"] == "EventBridgeRule"]
    pattern = rule["Properties"]["Pattern"]
    assert pattern["source"] == ["aws.ses"]
    assert pattern["detail"] == {"mail": {"tags": {"message_id": [{"exists": True}]}}}


@pytest.mark.parametrize("snapshots", ["on", "off"])
def test_an_event_that_feedback_fails_is_kept_after_two_retries(snapshots: str) -> None:
    stack = Stack(SnapStart=snapshots)
    function, queue = stack["FeedbackFunction"], stack["FeedbackDeadLetterQueue"]
    assert function["DeadLetterQueue"] == {"Type": "SQS", "TargetArn": "FeedbackDeadLetterQueue.Arn"}
    assert function["EventInvokeConfig"] == {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 6 * 3600}
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["SqsManagedSseEnabled"] is True
    alarm = stack["FeedbackDeadLetterAlarm"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "FeedbackDeadLetterQueue.QueueName"}]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)


def test_an_event_that_cannot_be_stored_raises_an_alarm() -> None:
    watched = [query["MetricStat"]["Metric"] for query in Stack()["ErrorAlarm"]["Metrics"] if "MetricStat" in query]
    lost = [metric for metric in watched if metric["MetricName"] == "DeadLetterErrors"]
    assert [metric["Dimensions"] for metric in lost] == [[{"Name": "FunctionName", "Value": "FeedbackFunction"}]]


@pytest.mark.parametrize("topic", ["", "arn:aws:sns:us-east-1:123456789012:ses-events"])
def test_only_the_named_topic_of_ses_may_invoke_feedback(topic: str) -> None:
    stack = Stack(SesTopicArn=topic)
    assert stack.has("SesTopicPermission") is stack.has("SesTopicSubscription") is bool(topic)
    if topic:
        subscription = stack["SesTopicSubscription"]
        assert stack["SesTopicPermission"]["SourceArn"] == subscription["TopicArn"] == topic
        assert subscription["Region"] == "us-east-1", "SES may send from another region than the stack's"


POOL = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_EXAMPLE01"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/e8ce8f79-ffc3-4d71-b97d-ab763a1aab2e"


@pytest.mark.parametrize(("pool", "key"), [("", ""), (POOL, ""), ("", KEY), (POOL, KEY)])
def test_what_cognito_needs_exists_with_its_pool_and_key_alone(pool: str, key: str) -> None:
    stack = Stack(CognitoUserPoolArn=pool, CognitoKeyArn=key)
    names = [name for name in BODY["Resources"] if name.startswith("Cognito")] + ["EncryptionLayer"]
    assert len(names) == 8
    assert {stack.has(name) for name in names} == {bool(pool and key)}


def test_cognito_may_decrypt_with_its_key_and_queue_mail_and_no_more() -> None:
    stack = Stack(CognitoUserPoolArn=POOL, CognitoKeyArn=KEY)
    assert stack.permissions("Cognito") == own_log("Cognito") | {
        "kms:Decrypt": {KEY},
        "sqs:SendMessage": QUEUES | {"CognitoDeadLetterQueue.Arn"},
    }


def test_only_its_user_pool_may_invoke_the_function_for_cognito() -> None:
    permission = Stack(CognitoUserPoolArn=POOL, CognitoKeyArn=KEY)["CognitoPermission"]
    assert (permission["Principal"], permission["SourceArn"]) == ("cognito-idp.amazonaws.com", POOL)


def test_an_event_of_cognito_that_fails_is_repeated_and_then_kept() -> None:
    stack = Stack(CognitoUserPoolArn=POOL, CognitoKeyArn=KEY, CognitoTenant="acme")
    function = stack["CognitoFunction"]
    assert function["DeadLetterQueue"] == {"Type": "SQS", "TargetArn": "CognitoDeadLetterQueue.Arn"}
    assert function["EventInvokeConfig"] == {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 600}
    assert function["Layers"] == ["DependenciesLayer", "EncryptionLayer", "MailroomLayer"]
    variables = function["Environment"]["Variables"]
    assert (variables["KEY_ARN"], variables["TENANT"]) == (KEY, "acme")
    alarm = stack["CognitoDeadLetterAlarm"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "CognitoDeadLetterQueue.QueueName"}]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_its_own_log_group_with_a_retention(function: str) -> None:
    stack = Stack(LogRetentionDays="7")
    assert stack[f"{function}Function"]["LoggingConfig"] == {
        "LogGroup": f"{function}LogGroup",
        "LogFormat": "JSON",
        "SystemLogLevel": "WARN",  # no START, END and REPORT of each invocation
    }
    assert stack[f"{function}LogGroup"]["RetentionInDays"] == "7"


def test_the_access_log_contains_no_address_and_no_path() -> None:
    stack = Stack()
    line = stack["HttpApi"]["AccessLogSettings"]["Format"]
    fields = json.loads(line)
    assert fields["request_id"] == "$context.requestId", "each line of a function's log has it under this name"
    assert set(fields.values()) == {
        *("$context.requestId", "$context.requestTimeEpoch", "$context.routeKey", "$context.status"),
        *("$context.responseLatency", "$context.integration.status", "$context.error.responseType"),
    }
    assert stack["AccessLogGroup"]["RetentionInDays"] == "30"


def test_every_route_has_a_rate_limit() -> None:
    api = Stack(RequestsPerSecond="50", FeedbackRequestsPerSecond="20")["HttpApi"]
    assert api["DefaultRouteSettings"] == {"ThrottlingRateLimit": "50", "ThrottlingBurstLimit": "50"}
    feedback = {"ThrottlingRateLimit": "20", "ThrottlingBurstLimit": "20"}
    routes = {route for route in routes_of("Feedback") if route.startswith("ANY ")}
    assert api["RouteSettings"] == dict.fromkeys(routes, feedback), "a stranger at feedback leaves the webhook alone"


def routes_of(function: str) -> set[str]:
    events = Stack()[f"{function}Function"]["Events"].values()
    http = [event["Properties"] for event in events if event["Type"] == "HttpApi"]
    return {f"{properties['Method']} {properties['Path']}" for properties in http}


@pytest.mark.parametrize("reserved", ["0", "5"])
def test_the_webhook_can_have_concurrency_of_its_own(reserved: str) -> None:
    stack = Stack(WebhookReservedConcurrency=reserved)
    found = {f: stack[f"{f}Function"].get("ReservedConcurrentExecutions") for f in FUNCTIONS}
    assert found == {**dict.fromkeys(FUNCTIONS), "Webhook": None if reserved == "0" else reserved}


@pytest.mark.parametrize("zones", ["", "ap-northeast-1a,ap-northeast-1c"])
def test_the_egress_network_is_in_the_zones_that_are_named(zones: str) -> None:
    subnets = ("PublicSubnet", "PrivateSubnetA", "PrivateSubnetB")
    if zones:
        stack = Stack(FixedEgressIp="true", EgressZones=zones)
        assert [stack[subnet]["AvailabilityZone"][-1] for subnet in subnets] == ["a", "a", "c"]
    for subnet, index in zip(subnets, (0, 0, 1), strict=True):
        choice = BODY["Resources"][subnet]["Properties"]["AvailabilityZone"]["Fn::Select"]
        assert (choice[0], choice[1]["Fn::If"][2]) == (index, {"Fn::GetAZs": ""})


def test_a_host_name_of_ones_own_is_in_every_url() -> None:
    certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
    stack = Stack(DomainName="mail.example.com", CertificateArn=certificate, ExecuteApiEndpoint="off")
    domain = {"DomainName": "mail.example.com", "CertificateArn": certificate, "SecurityPolicy": "TLS_1_2"}
    assert stack["HttpApi"]["Domain"] == domain
    assert stack["HttpApi"]["DisableExecuteApiEndpoint"] is True
    for name in ("WebhookUrl", "SendUrl", "FeedbackUrl"):
        assert stack.template.resolve(BODY["Outputs"][name]["Value"]).startswith("https://mail.example.com/")
    assert "Domain" not in Stack()["HttpApi"]
    assert Stack()["HttpApi"]["DisableExecuteApiEndpoint"] is False


def test_the_routes_are_exactly_these() -> None:
    stack = Stack()
    doors = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": function
        for function in FUNCTIONS
        for event in stack[f"{function}Function"]["Events"].values()
        if event["Type"] == "HttpApi"
    }
    assert doors == {
        "ANY /webhooks/logto": "Webhook",
        "ANY /webhooks/logto/{tenant}": "Webhook",
        "ANY /webhooks/{source}": "Webhook",
        "ANY /webhooks/{source}/{tenant}": "Webhook",
        **{f"ANY /webhooks/{name}{tenant}": "Rendered" for name in registry.SEALED for tenant in ("", "/{tenant}")},
        "POST /v1/emails": "Send",
        "POST /v1/emails/batch": "Send",
        "GET /v1/emails/{id}": "Send",
        "GET /openapi.json": "Send",
        "ANY /feedback/{provider}": "Feedback",
        "ANY /feedback/{provider}/{secret}": "Feedback",
        "ANY /l/{tenant}": "Link",
    }


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_layers_are_for_the_processor_of_the_functions(architecture: str) -> None:
    stack = Stack(Architecture=architecture)
    assert stack.template.resolve(BODY["Globals"]["Function"]["Architectures"]) == [architecture]
    for layer in ("DependenciesLayer", "SignaturesLayer", "MailroomLayer", "TemplatesLayer"):
        assert stack[layer]["CompatibleArchitectures"] == [architecture]
        build = stack.template.resolve(BODY["Resources"][layer]["Metadata"])
        assert build == {"BuildMethod": "makefile", "BuildArchitecture": architecture}


@pytest.mark.parametrize(
    ("layer", "functions"),
    [("TemplatesLayer", {"Send", "Deliver", "Link"}), ("SignaturesLayer", {"Webhook", "Feedback"})],
)
def test_a_function_has_the_layers_it_needs(layer: str, functions: set[str]) -> None:
    stack = Stack()
    assert {f for f in FUNCTIONS if layer in stack[f"{f}Function"]["Layers"]} == functions


@pytest.mark.parametrize("option", ["true", "false"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_codes_are_recorded_in_development_only(environment: str, option: str) -> None:
    variables = Stack(Environment=environment, RecordCodeOnFailure=option)["SendFunction"]["Environment"]["Variables"]
    recorded = option == "true" and environment == "development"
    assert variables["RECORD_CODE_ON_FAILURE"] == str(recorded).lower()


def test_no_parameter_takes_a_secret() -> None:
    assert set(BODY["Parameters"]) == {
        *("Environment", "Providers", "AllowedSourceCidrs", "FixedEgressIp", "CodeLifetimeMinutes"),
        *("RecordCodeOnFailure", "LogRetentionDays", "SnapStart", "CodesConcurrency", "NoticesConcurrency"),
        *("RequestsPerSecond", "AlarmTopicArn", "SesTopicArn", "Architecture", "SesFromAddresses", "SystemLogLevel"),
        *("FeedbackRequestsPerSecond", "WebhookReservedConcurrency", "Deployment", "Tracing"),
        *("DomainName", "CertificateArn", "HostedZoneId", "ExecuteApiEndpoint"),
        *("EgressZones", "ExistingEgressAllocationId", "ExistingLedger", "MailsPerDay"),
        *("CognitoUserPoolArn", "CognitoKeyArn", "CognitoTenant", "OutcomeBus", "Alarms"),
    }


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("Providers", "resent", "such as `resend, ses`"),
        ("Providers", "resend,", "such as `resend, ses`"),
        ("Providers", ",resend", "such as `resend, ses`"),
        ("Providers", "resend ses", "such as `resend, ses`"),
        ("AllowedSourceCidrs", "203.0.113.7", "such as 203.0.113.0/24"),
        ("AllowedSourceCidrs", "example.com", "such as 203.0.113.0/24"),
        ("AlarmTopicArn", "alarms", "the ARN of an SNS topic"),
        ("OutcomeBus", "default", "the ARN of an event bus"),
        (
            "CognitoKeyArn",
            "arn:aws:kms:eu-west-1:123456789012:alias/codes",
            "the ARN of a KMS key, and not of an alias",
        ),
        ("CognitoUserPoolArn", "eu-west-1_EXAMPLE01", "the ARN of a user pool"),
        ("Environment", "prod", "use development, staging, production"),
        ("SnapStart", "yes", "use on, off"),
        ("Alarms", "none", "use on, off"),
        ("LogRetentionDays", "31", "use 1, 3, 5"),
        ("SesFromAddresses", "auth.example.com", "such as *@auth.example.com"),
        ("EgressZones", "eu-west-1a", "two availability zones"),
        ("ExistingEgressAllocationId", "192.0.2.7", "such as eipalloc-"),
        ("ExistingLedger", "a table", "the name of a table"),
        ("CertificateArn", "arn:aws:iam::123456789012:server-certificate/x", "a certificate of ACM"),
        ("DomainName", "https://mail.example.com", "such as mail-api.example.com"),
        ("Deployment", "Canary", "use AllAtOnce, Canary10Percent5Minutes"),
    ],
)
def test_a_malformed_parameter_is_refused_with_the_correct_form(name: str, value: str, hint: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(hint)):
        Stack(**{name: value})


@pytest.mark.parametrize("value", ["", "ses", " resend , ses", "resend,ses,smtp"])
def test_a_provider_chain_is_a_list_with_commas(value: str) -> None:
    Stack(Providers=value)


def test_a_provider_chain_has_all_providers_and_no_other() -> None:
    parameter = BODY["Parameters"]["Providers"]

    assert re.findall(r"[a-z]+", parameter["AllowedPattern"]) == list(NAMES)
    assert f"a chain of {', '.join(NAMES)}, " in parameter["ConstraintDescription"]


@pytest.mark.parametrize("value", ["", "203.0.113.0/24", "203.0.113.0/24, 2001:db8::/32,198.51.100.7/32"])
def test_networks_are_accepted_in_their_usual_forms(value: str) -> None:
    given = Stack(AllowedSourceCidrs=value)["WebhookFunction"]["Environment"]["Variables"]["ALLOWED_SOURCE_CIDRS"]
    assert [str(ipaddress.ip_network(part.strip())) for part in given.split(",") if part] == [
        part.strip() for part in value.split(",") if part
    ]


@pytest.mark.parametrize("fixed", ["true", "false"])
def test_senders_use_one_fixed_address_if_configured(fixed: str) -> None:
    stack, asked = Stack(FixedEgressIp=fixed), fixed == "true"
    inside = {function for function in FUNCTIONS if "VpcConfig" in stack[f"{function}Function"]}
    assert inside == ({"Send", "Deliver"} if asked else set())
    joiners = {function for function in FUNCTIONS if "ec2:CreateNetworkInterface" in stack.permissions(function)}
    assert joiners == inside
    made = {name for name, resource in BODY["Resources"].items() if resource["Type"].startswith("AWS::EC2::")}
    assert {stack.has(name) for name in made} == {asked}
    assert BODY["Outputs"]["EgressIp"] == {
        "Condition": "OwnsEgressAddress",
        "Description": "The address a provider sees; put it on its list",
        "Value": {"Ref": "EgressAddress"},
    }


def test_the_fixed_address_has_a_complete_route_to_the_internet() -> None:
    stack = Stack(FixedEgressIp="true")
    assert stack["PrivateRoute"] | {"NatGatewayId": "NatGateway"} == stack["PrivateRoute"]
    assert stack["PublicRoute"] | {"GatewayId": "InternetGateway"} == stack["PublicRoute"]
    assert stack["NatGateway"] == {"AllocationId": "EgressAddress.AllocationId", "SubnetId": "PublicSubnet"}
    for subnet in stack["DeliverFunction"]["VpcConfig"]["SubnetIds"]:
        assert stack[f"{subnet}Routes"] == {"SubnetId": subnet, "RouteTableId": "PrivateRoutes"}
    assert "SecurityGroupIngress" not in stack["EgressSecurityGroup"]


@pytest.mark.parametrize("preference", ["AllAtOnce", "Canary10Percent5Minutes"])
def test_traffic_shifts_behind_an_alias_and_alarms_shift_it_back(preference: str) -> None:
    stack = Stack(Deployment=preference)
    for function in FUNCTIONS:
        properties = stack[f"{function}Function"]
        if preference == "AllAtOnce":
            assert "DeploymentPreference" not in properties
            continue
        alarms = ["ErrorAlarm", "UnavailableAlarm", "FailureRateAlarm"]
        assert properties["DeploymentPreference"] == {"Type": preference, "Alarms": alarms}
        assert properties["AutoPublishAlias"] == "live"
        assert stack.template.resolve(BODY["Outputs"]["SendFunctionName"]["Value"]) == "SendFunction:live"


@pytest.mark.parametrize("tracing", ["Active", "PassThrough"])
def test_a_function_may_write_traces_only_where_it_makes_some(tracing: str) -> None:
    stack = Stack(Tracing=tracing)
    assert stack.template.resolve(BODY["Globals"]["Function"]["Tracing"]) == tracing
    for function in FUNCTIONS:
        assert ("xray:PutTraceSegments" in stack.permissions(function)) is (tracing == "Active")


@pytest.mark.parametrize("table", ["", "restored"])
def test_the_stack_uses_an_existing_ledger_everywhere(table: str) -> None:
    stack = Stack(ExistingLedger=table)
    assert stack.has("LedgerTable") is not bool(table)
    name = table or "LedgerTable"
    for function in ("Send", "Deliver", "Feedback"):
        assert stack[f"{function}Function"]["Environment"]["Variables"]["TABLE_NAME"] == name
    assert stack.template.resolve(BODY["Outputs"]["LedgerTableName"]["Value"]) == name
    granted = {r for f in FUNCTIONS for a, rs in stack.permissions(f).items() if a.startswith("dynamodb:") for r in rs}
    own = TABLES + table if table else "LedgerTable.Arn"
    assert granted == {own, f"{TABLES}{name}/index/by_provider_id"}
    watched = json.dumps([stack["LedgerThrottledAlarm"], stack["Dashboard"]])
    assert f'"{name}"' in watched


@pytest.mark.parametrize("address", ["", "eipalloc-0123456789abcdef0"])
def test_the_stack_can_send_from_an_existing_address(address: str) -> None:
    stack = Stack(FixedEgressIp="true", ExistingEgressAllocationId=address)
    assert stack.has("EgressAddress") is not bool(address)
    assert stack["NatGateway"]["AllocationId"] == (address or "EgressAddress.AllocationId")


def test_a_failed_first_creation_leaves_no_address_behind() -> None:
    assert Stack().template.resolve(BODY["Resources"]["EgressAddress"]["DeletionPolicy"]) == "RetainExceptOnCreate"


@pytest.mark.parametrize("option", ["on", "off"])
def test_snapshots_come_with_an_alias_and_without_them_there_is_none(option: str) -> None:
    stack = Stack(SnapStart=option)
    applied = stack.template.resolve(BODY["Globals"]["Function"]["SnapStart"])
    assert applied == {"ApplyOn": "PublishedVersions" if option == "on" else "None"}
    for function in FUNCTIONS:
        assert stack[f"{function}Function"].get("AutoPublishAlias") == ("live" if option == "on" else None)
        assert stack[f"{function}Function"]["AutoPublishAliasAllProperties"] is True
    for layer in ("DependenciesLayer", "SignaturesLayer", "MailroomLayer", "TemplatesLayer"):
        assert stack[layer]["PublishLambdaVersion"] is True


@pytest.mark.parametrize("topic", ["", "arn:aws:sns:eu-west-1:123456789012:alarms"])
def test_alarms_go_to_the_topic_if_there_is_one(topic: str) -> None:
    stack = Stack(AlarmTopicArn=topic)
    alarms = [name for name, resource in BODY["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    assert {"CodesDeadLetterAlarm", "NoticesDeadLetterAlarm", "CodesAgeAlarm"} <= set(alarms)
    for alarm in alarms:
        assert stack[alarm].get("AlarmActions") == ([topic] if topic else None)


def test_no_text_is_resolved_in_two_steps() -> None:
    """A resolver that writes `${!x}` back as `${x}` makes CloudFormation refuse the whole template."""
    assert [text for text in substitutions(BODY) if "${!" in text] == []


def substitutions(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = value.get("Fn::Sub", [])
        texts = [own] if isinstance(own, str) else own[:1]
        return texts + [text for item in value.values() for text in substitutions(item)]
    return [text for item in value for text in substitutions(item)] if isinstance(value, list) else []


def test_the_webhook_url_is_an_output() -> None:
    url = Stack().template.resolve(BODY["Outputs"]["WebhookUrl"]["Value"])
    assert url == "https://HttpApi.execute-api.eu-west-1.amazonaws.com/webhooks/logto"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_environment_is_its_own_stack(environment: str) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert config[environment]["global"]["parameters"]["stack_name"] == f"mailroom-{environment}"
    assert config[environment]["deploy"]["parameters"]["parameter_overrides"] == [f"Environment={environment}"]
