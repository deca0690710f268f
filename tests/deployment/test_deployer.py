"""The role of the deploy workflow: enough for every resource of the template, by the schemas that AWS publishes."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import artifact
from mailroom_ops.cloudformation import loader
from mailroom_ops.cloudformation.intrinsics import Template
from tests.test_template import BODY, PSEUDO, listed

ROOT = Path(__file__).parents[2]
DEPLOYER = loader.load(ROOT / "ops/deployer.yaml")
MAX_POLICY_LENGTH = 6144  # of a managed policy, without white space
# What SAM makes of the template's own types; see tests/deployment/test_stack.py.
MADE_BY_SAM = {
    *("AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::ApiMapping", "AWS::ApiGatewayV2::DomainName"),
    *("AWS::ApiGatewayV2::Stage", "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup"),
    *("AWS::Events::Rule", "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::EventSourceMapping"),
    *("AWS::Lambda::Function", "AWS::Lambda::LayerVersion", "AWS::Lambda::Version", "AWS::Route53::RecordSet"),
}
# Rights for features of a type that the template does not use.
NOT_USED = {
    "keys of one's own": r"kms:.*",
    "streams to Kinesis and Firehose": r"kinesis:.*|dynamodb:.*kinesis.*|firehose:.*",
    "an index of contributors": r"dynamodb:.*contributorinsights",
    "replicas, imports and policies of a table": r"dynamodb:.*(replica|resourcepolicy|import|importtable)",
    "rows, which only these write": r"dynamodb:(batchwriteitem|(delete|get|put|update)item|query|scan)",
    "a service-linked role, for replicas": r"iam:createservicelinkedrole",
    "permissions boundaries, users and groups": r"iam:.*(boundary|grouppolicy|userpolicy)",
    "file systems": r".*mounttargets",
    "signed code, reserved machines": r"lambda:.*(codesigning|provisionedconcurrency|capacityprovider|scalingconfig).*",
    "pinned runtimes": r"lambda:(associateruntimealias|.*runtimemanagement.*)",
    "definitions of an API in S3": r"s3:(getobjectmetadata|listbucket|rest.put.object)",
    "certificates of other services, tags by another API": r"apigateway:(.*certificate.*|(un)?tagresource)",
    "indexes, policies and keys of logs": r"logs:.*(kmskey|indexpol|dataprotection|bearer|deletionprotection).*",
    "streams of logs": r"logs:(deleteresourcepolicy|createlogstream|putlogevents|describelogstreams)",
    "other networks": r".*(vpngateway|vpcencryption|subnetcidrblock|natgatewayaddress|servicenetwork|multiregion).*",
    "other addresses": r"ec2:(.*addresstransfer|modifyvpctenancy)",
    "other rules": r"ec2:(.*securitygroupingress|updatesecuritygroup.*)",
    "servers of one's own": r"codedeploy:registeronpremisesinstance",
    "tags of alarms, read only by drift detection": r"cloudwatch:listtagsforresource",
}


@pytest.fixture(scope="module")
def statements() -> list[dict[str, Any]]:
    pseudo = {**PSEUDO, "AWS::StackName": "mailroom-staging-deployer"}
    template = Template.deploy(DEPLOYER, {"Environment": "staging", "Repository": "acme/mailroom"}, pseudo)
    template.attributes = loader.PlaceholderAttributes()
    policies = [r for r in DEPLOYER["Resources"].values() if r["Type"] == "AWS::IAM::ManagedPolicy"]
    documents = [template.resolve(policy["Properties"]["PolicyDocument"]) for policy in policies]
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= MAX_POLICY_LENGTH
    return [statement for document in documents for statement in document["Statement"]]


def needed() -> Iterator[tuple[str, str]]:
    """Yield each type of resource with each right that CloudFormation's handlers for it may use."""
    used = {resource["Type"] for resource in BODY["Resources"].values()} | MADE_BY_SAM
    used = {type_ for type_ in used if not type_.startswith("AWS::Serverless::")}
    try:
        folder = next(artifact.sam().parents[1].glob("lib/python3*/site-packages/cfnlint/data/schemas/resources"))
    except (artifact.Missing, StopIteration):
        pytest.skip("needs the SAM CLI: `make setup` installs it")
    for path in folder.glob("*.json"):
        schema = json.loads(path.read_text())
        if schema.get("typeName") in used:
            for name, handler in schema.get("handlers", {}).items():
                for action in handler.get("permissions", []) if name != "list" else ():
                    yield schema["typeName"], action


def is_used(action: str) -> bool:
    return not any(re.fullmatch(pattern, action.lower()) for pattern in NOT_USED.values())


def test_the_role_may_do_all_that_the_template_needs(statements: list[dict[str, Any]]) -> None:
    allowed = [a.lower() for s in statements if s["Effect"] == "Allow" for a in listed(s["Action"])]
    lacking = {
        f"{type_}: {action}"
        for type_, action in needed()
        if is_used(action) and not any(fnmatchcase(action.lower(), pattern) for pattern in allowed)
    }
    assert lacking == set()


def test_every_type_of_the_template_has_a_schema() -> None:
    used = {resource["Type"] for resource in BODY["Resources"].values()} | MADE_BY_SAM
    found = {type_ for type_, _ in needed()}
    assert {t for t in used if not t.startswith("AWS::Serverless::")} - found == set()


def test_every_exception_is_still_one() -> None:
    actions = {action.lower() for _, action in needed()}
    for reason, pattern in NOT_USED.items():
        assert any(re.fullmatch(pattern, action) for action in actions), reason


def test_the_role_reaches_no_other_stack(statements: list[dict[str, Any]]) -> None:
    unnamed = {s["Sid"] for s in statements if s["Effect"] == "Allow" and "*" in listed(s["Resource"])}
    assert unnamed == {"DeliverAccessLogs", "ReadAlarms", "ManageEgress", "NameHost", "ReadQuotas"}
    for statement in statements:
        for resource in listed(statement["Resource"]):
            assert "mailroom-production" not in resource
            assert "mailroom-*" not in resource
    roles = next(s for s in statements if s["Sid"] == "ManageRoles")
    own = "arn:aws:iam::123456789012:role/mailroom-staging-deployer-DeployerRole-1"
    denied = next(s for s in statements if s["Sid"] == "ProtectItself")
    assert any(fnmatchcase(own, resource) for resource in listed(denied["Resource"]))
    writing = [a for a in roles["Action"] if not a.startswith(("iam:Get", "iam:List", "iam:Tag", "iam:Untag"))]
    assert all(any(fnmatchcase(action, pattern) for pattern in denied["Action"]) for action in writing)


def test_only_the_environment_of_the_repository_takes_the_role() -> None:
    template = Template.deploy(DEPLOYER, {"Environment": "production", "Repository": "acme/mailroom"}, PSEUDO)
    template.attributes = loader.PlaceholderAttributes()
    role = template.resolve(DEPLOYER["Resources"]["DeployerRole"]["Properties"])
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"]["StringEquals"] == {
        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
        "token.actions.githubusercontent.com:sub": "repo:acme/mailroom:environment:production",
    }


def test_production_is_deployed_after_staging_and_a_test_mail() -> None:
    def load(name: str) -> dict[str, Any]:
        workflow: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
        return workflow

    jobs = load("deploy.yml")["jobs"]
    assert jobs["production"]["needs"] == "staging"
    assert [job["with"]["environment"] for job in jobs.values()] == ["staging", "production"]
    job = load("deploy-one.yml")["jobs"]["deploy"]
    assert job["environment"] == "${{ inputs.environment }}", "its approval and its variables apply"
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == [".ci/oidc-token", "make deploy ARGS=--no-confirm-changeset", ".ci/oidc-token", "make smoke"]


def test_the_examples_name_parameters_and_outputs_of_the_template() -> None:
    page = (ROOT / "docs/pipelines.md").read_text()
    (terraform,) = re.findall(r"^```hcl\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (cdk,) = re.findall(r"^```typescript\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    for text, pattern in ((terraform, r"^    (\w+) += "), (cdk, r"^    (\w+): ")):
        names = re.findall(pattern, text, re.MULTILINE)
        assert names
        assert set(names) <= set(BODY["Parameters"])
    for output in re.findall(r"outputs\[?\"?\.?(\w+Url)|getOutput\('(\w+)'\)", terraform + cdk):
        assert {name for name in output if name} <= set(BODY["Outputs"])
    assert "CAPABILITY_AUTO_EXPAND" in terraform
