"""The policies of the template against the calls that the functions make: each is allowed, and no right is unused."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.deployment.recorded_calls import Call, recorded_calls
from tests.test_template import FUNCTIONS, KEY, POOL, Stack, listed

pytestmark = pytest.mark.thorough

ENVIRONMENT = "development"
ALL = (*FUNCTIONS, "Cognito")
SSM = f"arn:aws:ssm:eu-west-1:123456789012:parameter/mailroom/{ENVIRONMENT}/"
# Rights that no call of ours uses, by function, action and resource.
USED_BY_OTHERS = {
    ("*", "logs:*", "*"): "Lambda writes the logs",
    ("*", "xray:*", "*"): "Lambda writes the traces",
    ("*", "ec2:*", "*"): "Lambda makes the network interfaces",
    ("cognito", "kms:Decrypt", "*"): "the AWS Encryption SDK decrypts the key of each code",
    ("cognito", "sqs:SendMessage", "CognitoDeadLetterQueue.Arn"): "Lambda keeps events that failed",
    ("deliver", "sqs:*", "CodesQueue.Arn"): "Lambda's poller receives and deletes with the function's role",
    ("deliver", "sqs:*", "NoticesQueue.Arn"): "the same",
    ("notify", "sqs:*", "OutcomesQueue.Arn"): "the same",
    ("feedback", "sqs:SendMessage", "FeedbackDeadLetterQueue.Arn"): "Lambda keeps events that failed",
    ("*", "ses:SendEmail", "*:configuration-set/*"): "SES asks for it where providers/ses/configuration_set is set",
    ("*", "ses:SendEmail", "*:tenant/*"): "and where providers/ses/tenant_name is set",
    ("*", "ses:SendRawEmail", "*"): "SES asks for it where it assembles the mail itself",
}

Statements = Mapping[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def statements() -> Statements:
    """The statements of the roles, by function, with every option on."""
    options = {"Providers": "resend, ses", "FixedEgressIp": "true", "Tracing": "Active"}
    stack = Stack(Environment=ENVIRONMENT, CognitoUserPoolArn=POOL, CognitoKeyArn=KEY, **options)
    return {function.lower(): stack.statements(function) for function in ALL}


@pytest.fixture(scope="module")
def calls() -> frozenset[Call]:
    return recorded_calls()


def resource_of(call: Call) -> str:
    """Return the resource of a call as the resolved template contains it."""
    service = call.action.partition(":")[0]
    if service == "ssm":
        return SSM + call.resource
    if service == "ses":
        return f"arn:aws:ses:eu-west-1:123456789012:identity/{call.keys[0].partition('@')[2]}"
    if "/" in call.resource:
        return f"arn:aws:dynamodb:eu-west-1:123456789012:table/{call.resource}"
    return f"{call.resource}.Arn"


def concerns(statement: Mapping[str, Any], call: Call) -> bool:
    """Test whether action, resource and condition of a statement match a call."""
    return (
        any(fnmatchcase(call.action, action) for action in listed(statement["Action"]))
        and any(fnmatchcase(resource_of(call), resource) for resource in listed(statement["Resource"]))
        and all(
            _holds(key, value, call) for test in statement.get("Condition", {}).values() for key, value in test.items()
        )
    )


def _holds(key: str, value: Any, call: Call) -> bool:
    match key:
        case "ssm:Overwrite":
            return bool(value == "false")  # ParameterStore.create never overwrites
        case "ses:FromAddress" | "dynamodb:LeadingKeys":
            return any(fnmatchcase(name, pattern) for name in call.keys for pattern in listed(value))
        case "lambda:SourceFunctionArn":
            return True
    raise AssertionError(f"the condition {key} is not evaluated")


def refused(statements: Statements, calls: Iterable[Call]) -> set[str]:
    """Return the calls that IAM would refuse."""
    return {
        f"{call.function} {call.action} {call.resource}"
        for call in calls
        if (effects := {s["Effect"] for s in statements[call.function] if concerns(s, call)}) != {"Allow"}
        or "Deny" in effects
    }


def unused(statements: Statements, calls: Iterable[Call]) -> set[str]:
    """Return the rights that no call used."""
    used = {
        (call.function, action, resource)
        for call in calls
        for statement in statements[call.function]
        if statement["Effect"] == "Allow" and concerns(statement, call)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if fnmatchcase(call.action, action) and fnmatchcase(resource_of(call), resource)
    }
    return {
        " ".join(right)
        for function, its in statements.items()
        for statement in its
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if (right := (function, action, resource)) not in used
        and not any(all(map(fnmatchcase, right, pattern)) for pattern in USED_BY_OTHERS)
    }


def test_every_recorded_call_is_allowed(statements: Statements, calls: frozenset[Call]) -> None:
    assert {call.function for call in calls} == set(statements)
    assert refused(statements, calls) == set()


def test_every_right_is_used(statements: Statements, calls: frozenset[Call]) -> None:
    assert unused(statements, calls) == set()


@pytest.mark.parametrize("function", [function.lower() for function in ALL])
def test_a_missing_right_is_found(statements: Statements, calls: frozenset[Call], function: str) -> None:
    for missing in statements[function]:
        others = {**statements, function: [s for s in statements[function] if s is not missing]}
        used = [call for call in calls if call.function == function and concerns(missing, call)]
        assert bool(refused(others, calls)) == bool(missing["Effect"] == "Allow" and used)


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ssm:GetParametersByPath", f"{SSM}providers"),
        ("ssm:GetParameters", f"{SSM}backups/*"),
        ("dynamodb:Scan", "LedgerTable.Arn"),
        ("sqs:SendMessage", "CodesDeadLetterQueue.Arn"),
    ],
)
def test_a_right_that_nobody_uses_is_found(
    statements: Statements, calls: frozenset[Call], action: str, resource: str
) -> None:
    more = {"Effect": "Allow", "Action": action, "Resource": resource}
    assert unused({**statements, "send": [*statements["send"], more]}, calls) == {f"send {action} {resource}"}


@pytest.mark.parametrize("function", ["send", "deliver"])
@pytest.mark.parametrize("action", ["dynamodb:PutItem", "dynamodb:UpdateItem"])
def test_no_sender_can_change_a_suppression(statements: Statements, function: str, action: str) -> None:
    assert refused(statements, [Call(function, action, "LedgerTable", ("suppressed#",))])


def test_mail_through_ses_is_limited_to_the_addresses_of_the_stack() -> None:
    stack = Stack(Environment=ENVIRONMENT, Providers="ses", SesFromAddresses="*@globex.example.com,a@example.com")
    statements = {"deliver": stack.statements("Deliver")}

    def is_allowed(address: str) -> bool:
        return not refused(statements, [Call("deliver", "ses:SendEmail", "identity", (address,))])

    assert is_allowed("login@globex.example.com")
    assert is_allowed("a@example.com")
    assert not is_allowed("b@example.com")
    assert not is_allowed("login@other.example.com")


def test_function_code_cannot_use_the_network_rights_of_lambda(statements: Statements) -> None:
    for function in ("send", "deliver"):
        rights = {s["Effect"]: s for s in statements[function] if "ec2:CreateNetworkInterface" in s["Action"]}
        assert rights["Deny"]["Action"] == rights["Allow"]["Action"]
        arn = rights["Deny"]["Condition"]["ArnLike"]["lambda:SourceFunctionArn"]
        assert fnmatchcase(f"arn:aws:lambda:eu-west-1:123456789012:function:mailroom-{function}", arn)
