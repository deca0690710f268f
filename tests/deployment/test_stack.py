"""The template through the real SAM translator: created, updated, deleted and created again in moto."""

import io
import json
import os
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from moto import mock_aws

from bench import artifact
from tests.thorough import times

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("development", "staging", "production")
ACCOUNT = "123456789012"
REGION = "eu-west-1"
# Regions of three partitions, with SES and without.
ALL_REGIONS = ("cn-north-1", "eu-central-1", "us-east-1", "ap-southeast-1", "us-gov-west-1")
THOROUGH = times(0, 1) == 1
REGIONS = ALL_REGIONS if THOROUGH else ALL_REGIONS[:1]
# What moto 5.2 cannot create from a template. It is checked by cfn-lint, and by nothing that runs.
NOT_IN_MOTO = {
    "AWS::ApiGatewayV2::Api": "no URL of the HTTP API is proven",
    "AWS::ApiGatewayV2::ApiMapping": "",
    "AWS::ApiGatewayV2::DomainName": "nor a host name of one's own",
    "AWS::ApiGatewayV2::Stage": "nor its throttles and its access log",
    "AWS::CloudWatch::Alarm": "tests/test_template.py compares alarms with the metrics that the code writes",
    "AWS::CloudWatch::Dashboard": "",
    "AWS::CodeDeploy::Application": "no shift of traffic, and no rollback by an alarm, is proven",
    "AWS::CodeDeploy::DeploymentGroup": "",
    "AWS::Lambda::Alias": "so that aliases are left out below, and their functions are used",
    "AWS::Lambda::EventInvokeConfig": "",
    "AWS::Lambda::Version": "it fails where its function is a reference",
    "AWS::Logs::MetricFilter": "",
    "AWS::SNS::Subscription": "",
}

CHOICES = {
    "FixedEgressIp": ("false", "true"),
    "SnapStart": ("off", "on"),
    "Deployment": ("AllAtOnce", "Canary10Percent5Minutes"),
}
WHOLE = [
    {"Environment": environment, **dict(zip(CHOICES, choice, strict=True))}
    for environment in ENVIRONMENTS
    for choice in product(*CHOICES.values())
]
# In short: each environment, and each choice, in one of the stacks.
SHORT = [
    {"Environment": "development", "FixedEgressIp": "false", "SnapStart": "off", "Deployment": "AllAtOnce"},
    {
        "Environment": "staging",
        "FixedEgressIp": "true",
        "SnapStart": "on",
        "Deployment": "Canary10Percent5Minutes",
        "Alarms": "off",
    },
    {"Environment": "production", "FixedEgressIp": "false", "SnapStart": "off", "Deployment": "AllAtOnce"},
]
VARIANTS = [*WHOLE, SHORT[1]] if THOROUGH else SHORT
PRODUCTION = SHORT[-1]
ADOPTING = {**PRODUCTION, "ExistingLedger": "mailroom-production-ledger"}
RESTORED = {**PRODUCTION, "ExistingLedger": "restored"}


def name_of(variant: Mapping[str, str]) -> str:
    return "-".join(variant.values())


@pytest.fixture(scope="module")
def translated() -> dict[str, dict[str, Any]]:
    """The deployed form of the template for each variant, and for each region with everything on."""
    variants = {name_of(variant): (REGION, variant) for variant in VARIANTS}
    everything = {"Environment": "production", **{name: values[-1] for name, values in CHOICES.items()}}
    for region in REGIONS:
        topic = f"arn:aws:sns:{region}:{ACCOUNT}:topic"
        more = {"SesTopicArn": topic, "AlarmTopicArn": topic, "Providers": "ses", "DomainName": "mail.example.com"}
        more |= {"CertificateArn": f"arn:aws:acm:{region}:{ACCOUNT}:certificate/1", "HostedZoneId": "Z0123"}
        more |= {"CognitoUserPoolArn": f"arn:aws:cognito-idp:{region}:{ACCOUNT}:userpool/{region}_EXAMPLE01"}
        more |= {"CognitoKeyArn": f"arn:aws:kms:{region}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef"}
        more |= {"ExecuteApiEndpoint": "off", "Tracing": "Active", "WebhookReservedConcurrency": "5"}
        variants[region] = (region, {**everything, **more})
    variants |= {"adopting": (REGION, ADOPTING), "restored": (REGION, RESTORED)}
    orders = [
        {"region": region, "account": ACCOUNT, "stack": f"mailroom-{v['Environment']}", "parameters": v}
        for region, v in variants.values()
    ]
    try:
        python = artifact.sam().parent / "python"
    except artifact.Missing as missing:
        pytest.skip(str(missing))
    done = subprocess.run(
        [python, Path(__file__).with_name("translate.py"), ROOT / "template.yaml"],
        input=json.dumps(orders),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SAM_CLI_TELEMETRY": "0"},
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(variants, json.loads(done.stdout), strict=True))


class Account:
    """An AWS account in moto, with the artifacts of a build in its bucket."""

    def __init__(self) -> None:
        self.cloudformation = boto3.client("cloudformation", REGION)
        s3 = boto3.client("s3", REGION)
        s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", "")
        for key in ("code.zip", "layer.zip"):
            s3.put_object(Bucket="artifacts", Key=key, Body=code.getvalue())

    def create(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self.cloudformation.create_stack(**self._stack(template, parameters))

    def update(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self.cloudformation.update_stack(**self._stack(template, parameters))

    def delete(self, environment: str) -> None:
        self.cloudformation.delete_stack(StackName=f"mailroom-{environment}")

    def state(self, environment: str) -> str:
        (stack,) = self.cloudformation.describe_stacks(StackName=f"mailroom-{environment}")["Stacks"]
        return str(stack["StackStatus"])

    def resources(self, environment: str) -> set[str]:
        answer = self.cloudformation.describe_stack_resources(StackName=f"mailroom-{environment}")
        return {resource["LogicalResourceId"] for resource in answer["StackResources"] if len(resource) > 4}

    def _stack(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
        return {
            "StackName": f"mailroom-{parameters['Environment']}",
            "TemplateBody": json.dumps(template),
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield Account()


def for_moto(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template without what moto cannot do; a reference to an alias becomes one to its function."""
    resources = template["Resources"]
    removed = {name for name, resource in resources.items() if resource["Type"] in NOT_IN_MOTO}

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            if (name := value.get("Ref", "")) in removed:
                function = name.removesuffix("Aliaslive")
                return "not-in-moto" if function == name else {"Fn::GetAtt": [function, "Arn"]}  # an alias's Ref
            if (path := value.get("Fn::GetAtt")) and path[0] in removed:
                return "not-in-moto"
            if isinstance(text := value.get("Fn::Sub"), str):
                for name in removed:
                    text = text.replace(f"${{{name}}}", "not-in-moto")
                return {"Fn::Sub": text}
            return {key: without(item) for key, item in value.items()}
        return [without(item) for item in value] if isinstance(value, list) else value

    kept = {name: without(resource) for name, resource in resources.items() if name not in removed}
    for resource in kept.values():
        if resource.get("DependsOn"):
            names = [resource["DependsOn"]] if isinstance(resource["DependsOn"], str) else resource["DependsOn"]
            resource["DependsOn"] = [name for name in names if name not in removed]
    return {**template, "Resources": kept, "Outputs": without(template["Outputs"])}


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_a_stack_is_created_updated_deleted_and_created_again(
    translated: dict[str, dict[str, Any]], account: Account, variant: dict[str, str]
) -> None:
    environment = variant["Environment"]
    template = for_moto(translated[name_of(variant)])

    account.create(template, variant)
    assert account.state(environment) == "CREATE_COMPLETE"
    expected = {name for name, r in template["Resources"].items() if holds(template, r.get("Condition"), variant)}
    assert account.resources(environment) == expected
    account.update(template, {**variant, "LogRetentionDays": "7"})
    assert account.state(environment) == "UPDATE_COMPLETE"

    if variant["FixedEgressIp"] == "true":
        return  # moto cannot delete a network: its route tables stay, and hold it
    account.delete(environment)
    if environment == "production":
        assert left_behind() == ["mailroom-production-ledger"]
        return
    assert left_behind() == []
    account.create(template, variant)
    assert account.state(environment) == "CREATE_COMPLETE"


def test_a_production_stack_is_created_again_with_the_ledger_it_left_behind(
    translated: dict[str, dict[str, Any]], account: Account
) -> None:
    template, adopting = for_moto(translated[name_of(PRODUCTION)]), for_moto(translated["adopting"])
    account.create(template, PRODUCTION)
    boto3.resource("dynamodb", REGION).Table("mailroom-production-ledger").put_item(Item={"pk": "suppressed#1"})
    account.delete("production")

    with pytest.raises((ClientError, ResponseParserError), match="Table already exists"):  # moto's error is not XML
        account.create(template, PRODUCTION)
    account.delete("production")
    account.create(adopting, ADOPTING)

    assert account.state("production") == "CREATE_COMPLETE"
    functions = boto3.client("lambda", REGION).list_functions()["Functions"]
    tables = {f["Environment"]["Variables"].get("TABLE_NAME") for f in functions}
    assert tables == {None, "mailroom-production-ledger"}
    assert "LedgerTable" not in account.resources("production")
    account.delete("production")
    assert left_behind() == ["mailroom-production-ledger"]


def test_a_stack_is_pointed_at_a_restored_ledger(translated: dict[str, dict[str, Any]], account: Account) -> None:
    account.create(without_layers(for_moto(translated[name_of(PRODUCTION)])), PRODUCTION)
    account.update(without_layers(for_moto(translated["restored"])), RESTORED)

    assert account.state("production") == "UPDATE_COMPLETE"
    deliver = boto3.client("lambda", REGION).get_function_configuration(FunctionName="mailroom-production-deliver")
    assert deliver["Environment"]["Variables"]["TABLE_NAME"] == "restored"
    assert left_behind()[0] == "mailroom-production-ledger", "the old table stays"


def without_layers(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with functions that have no layers: moto cannot update one that has."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            del resource["Properties"]["Layers"]
    return template


def holds(template: Mapping[str, Any], condition: str | None, parameters: Mapping[str, str]) -> bool:
    if condition is None:
        return True
    from mailroom_ops.cloudformation.intrinsics import Template

    return Template.deploy(template, parameters, {"AWS::Region": REGION}).holds(condition)


def left_behind() -> list[str]:
    """Return the names of what still exists after a stack was deleted."""
    tables = boto3.client("dynamodb", REGION).list_tables()["TableNames"]
    queues = boto3.client("sqs", REGION).list_queues().get("QueueUrls", [])
    functions = boto3.client("lambda", REGION).list_functions()["Functions"]
    groups = boto3.client("logs", REGION).describe_log_groups()["logGroups"]
    roles = boto3.client("iam", REGION).list_roles()["Roles"]
    return [*tables, *queues, *(str(item) for item in [*functions, *groups, *roles])]


def test_what_moto_cannot_do_is_listed(translated: dict[str, dict[str, Any]]) -> None:
    used = {r["Type"] for template in translated.values() for r in template["Resources"].values()}
    assert set(NOT_IN_MOTO) - used == set(), "it is not in the template any more"


@pytest.mark.thorough
@pytest.mark.parametrize("region", REGIONS)
def test_the_deployed_template_has_no_findings(
    translated: dict[str, dict[str, Any]], region: str, tmp_path: Path
) -> None:
    (tmp_path / "template.json").write_text(json.dumps(translated[region]))
    linter = artifact.sam().parent / "cfn-lint"
    command = (linter, "--regions", region, "--ignore-checks", "W", "--template", tmp_path / "template.json")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
