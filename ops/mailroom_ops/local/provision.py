"""Makes in moto what template.yaml describes, and tells each function what it would be told on AWS."""

import json
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from mailroom_ops import template as template_file
from mailroom_ops.local.aws import ACCOUNT, CREDENTIALS, Aws
from mailroom_ops.local.gateway import Route
from mailroom_ops.local.intrinsics import Template, TemplateError
from mailroom_ops.local.queues import Source
from mailroom_ops.local.worker import Spec

__all__ = ["ENVIRONMENT", "Blueprint", "load_secrets"]

ENVIRONMENT = "development"
PROCESSES = 4  # of one function at most
LANE_CONCURRENCY = 2  # batches of one queue at a time: two lanes fit into one function's processes
NOT_ATTRIBUTES = {"QueueName", "Tags"}


class Blueprint:
    """The template as deployed to `development`: what to make, what to run, what leads where."""

    def __init__(
        self, root: Path, region: str, parameters: Mapping[str, str], overrides: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.root = root
        self._overrides = overrides
        config = _samconfig(root)
        self.stack_name = config.get("stack_name") or f"mailroom-{ENVIRONMENT}"
        pseudo = {
            "AWS::Region": region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{self.stack_name}/local",
        }
        given = {**config["parameters"], **parameters, "Environment": ENVIRONMENT}
        self._template = Template.deploy(template_file.load(root / "template.yaml"), given, pseudo)
        self._name_everything(region)

    def create(self, aws: Aws) -> None:
        """Make the queues and the table."""
        self._locate_queues(aws.endpoint)
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(self._create_queues, aws), pool.submit(self._create_tables, aws)]:
                done.result()

    def specs(self, aws_endpoint: str, extra: Mapping[str, str]) -> dict[str, Spec]:
        """Return the functions, by the names of their folders."""
        found = {}
        for logical_id, properties in self._functions().items():
            folder = self.root / str(properties["CodeUri"])
            handler = properties["Handler"]
            layers = [path for path in properties.get("Layers", []) if Path(path).is_dir()]
            name, memory, timeout = (
                properties["FunctionName"],
                properties.get("MemorySize", 128),
                properties.get("Timeout", 3),
            )
            variables = {key: self._localize(value) for key, value in properties["Environment"]["Variables"].items()}
            environment = {
                **self._runtime_environment(name, str(memory), folder, handler, layers),
                **variables,
                "AWS_ENDPOINT_URL": aws_endpoint,
                **extra,
            }
            limit = min(PROCESSES, int(properties.get("ReservedConcurrentExecutions", PROCESSES)))
            arn = self._template.attribute(logical_id, "Arn")
            found[folder.name] = Spec(folder.name, name, arn, folder, handler, environment, float(timeout), limit)
        return found

    def routes(self) -> list[Route]:
        """Return the routes of the HTTP API."""
        return [
            Route(event["Method"].upper(), event["Path"], function)
            for function, kind, event in self._events()
            if kind == "HttpApi"
        ]

    def throttle(self) -> tuple[float, float]:
        """Return how many requests a second, and at once, each route takes."""
        for properties in self._template.resources("AWS::Serverless::HttpApi").values():
            limits = self._template.resolve(properties.get("DefaultRouteSettings", {}))
            return float(limits.get("ThrottlingRateLimit", 0)), float(limits.get("ThrottlingBurstLimit", 0))
        return 0, 0

    def sources(self) -> list[Source]:
        """Return the queues that feed functions."""
        urls = {values["Arn"]: values["Ref"] for values in self._template.attributes.values() if "QueueName" in values}
        return [
            Source(
                queue_url=urls[event["Queue"]],
                queue_arn=event["Queue"],
                function=function,
                batch_size=min(10, int(event.get("BatchSize", 10))),
                reports_failures="ReportBatchItemFailures" in event.get("FunctionResponseTypes", []),
                concurrency=min(
                    LANE_CONCURRENCY, int(event.get("ScalingConfig", {}).get("MaximumConcurrency", LANE_CONCURRENCY))
                ),
            )
            for function, kind, event in self._events()
            if kind == "SQS"
        ]

    def queue_url(self, logical_id: str) -> str:
        return str(self._template.attribute(logical_id, "Ref"))

    def table_name(self, logical_id: str) -> str:
        return str(self._template.attribute(logical_id, "Ref"))

    def _name_everything(self, region: str) -> None:
        attributes = self._template.attributes
        for logical_id, properties in self._template.resources("AWS::SQS::Queue").items():
            name = self._named(properties, "QueueName", logical_id)
            attributes[logical_id] = {"QueueName": name, "Arn": f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"}
        for logical_id, properties in self._template.resources("AWS::DynamoDB::Table").items():
            name = self._named(properties, "TableName", logical_id)
            attributes[logical_id] = {"Ref": name, "Arn": f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{name}"}
        for logical_id, properties in self._template.resources("AWS::Serverless::Function").items():
            name = self._named(properties, "FunctionName", logical_id)
            attributes[logical_id] = {"Ref": name, "Arn": f"arn:aws:lambda:{region}:{ACCOUNT}:function:{name}"}
        for logical_id, properties in self._template.resources("AWS::Serverless::LayerVersion").items():
            attributes[logical_id] = {"Ref": str(self.root / properties["ContentUri"])}  # its folder, instead of an ARN

    def _named(self, properties: Mapping[str, Any], key: str, logical_id: str) -> str:
        return str(self._template.resolve(properties.get(key, f"{self.stack_name}-{logical_id}")))

    def _locate_queues(self, endpoint: str) -> None:
        for values in self._template.attributes.values():
            if "QueueName" in values:
                values["Ref"] = f"{endpoint}/{ACCOUNT}/{values['QueueName']}"

    def _create_queues(self, aws: Aws) -> None:
        sqs = aws.client("sqs")
        redrive = {}
        for logical_id, raw in self._template.resources("AWS::SQS::Queue").items():
            properties = {**self._template.resolve(raw), **self._overrides.get(logical_id, {})}
            redrive[logical_id] = properties.pop("RedrivePolicy", None)
            attributes = {key: _attribute(value) for key, value in properties.items() if key not in NOT_ATTRIBUTES}
            sqs.create_queue(QueueName=self._template.attribute(logical_id, "QueueName"), Attributes=attributes)
        for logical_id, policy in redrive.items():
            if policy:
                url = self._template.attribute(logical_id, "Ref")
                sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})

    def _create_tables(self, aws: Aws) -> None:
        dynamodb = aws.client("dynamodb")
        for logical_id, raw in self._template.resources("AWS::DynamoDB::Table").items():
            properties = self._template.resolve(raw)
            wanted = (
                "AttributeDefinitions",
                "KeySchema",
                "BillingMode",
                "GlobalSecondaryIndexes",
                "StreamSpecification",
            )
            name = self._template.attribute(logical_id, "Ref")
            dynamodb.create_table(TableName=name, **{key: properties[key] for key in wanted if key in properties})
            if ttl := properties.get("TimeToLiveSpecification"):
                dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)

    def _functions(self) -> dict[str, dict[str, Any]]:
        shared = self._template.body.get("Globals", {}).get("Function", {})
        wanted = (
            "CodeUri",
            "Handler",
            "FunctionName",
            "MemorySize",
            "Timeout",
            "Layers",
            "ReservedConcurrentExecutions",
        )
        found = {}
        for logical_id, own in self._template.resources("AWS::Serverless::Function").items():
            merged = {key: value for key, value in {**shared, **own}.items() if key in wanted}
            variables = [part.get("Environment", {}).get("Variables", {}) for part in (shared, own)]
            resolved = self._template.resolve(merged)
            resolved["FunctionName"] = self._template.attribute(logical_id, "Ref")
            resolved["Environment"] = {"Variables": self._template.resolve({**variables[0], **variables[1]})}
            found[logical_id] = resolved
        return found

    def _events(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            (
                Path(function["CodeUri"]).name,
                event["Type"],
                self._template.resolve(_without_api(event.get("Properties", {}))),
            )
            for function in self._template.resources("AWS::Serverless::Function").values()
            for event in function.get("Events", {}).values()
        ]

    def _localize(self, value: Any) -> str:
        # On Lambda the layers are laid over /opt.
        text = str(value)
        return f"{self.root}/layers/{text.removeprefix('/opt/')}" if text.startswith("/opt/") else text

    def _runtime_environment(
        self, name: str, memory: str, folder: Path, handler: str, layers: list[str]
    ) -> dict[str, str]:
        """The variables that the service itself sets.

        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
        """
        region = self._template.pseudo["AWS::Region"]
        return {
            **CREDENTIALS,
            "_HANDLER": handler,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "LAMBDA_TASK_ROOT": str(folder),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": ":".join(layers),
            "PYTHONPYCACHEPREFIX": str(self.root / ".cache" / "pyc"),  # no bytecode where `sam build` would find it
            "TZ": ":UTC",
        }


def load_secrets(path: Path, defaults: Mapping[str, str], aws: Aws) -> None:
    """Write every line of a secrets file, and what it leaves to `defaults`, into SSM."""
    try:
        lines = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TemplateError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(lines, dict):
        raise TemplateError(f"{path.name} must be lines of the form `name: value`")
    ssm = aws.client("ssm")
    for name, value in {**defaults, **lines}.items():
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value).strip()
        ssm.put_parameter(Name=f"/mailroom/{ENVIRONMENT}/{name}", Value=text, Type="SecureString", Overwrite=True)


def _samconfig(root: Path) -> dict[str, Any]:
    path = root / "samconfig.toml"
    config = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    commands = config.get(ENVIRONMENT, {})
    settings = {**commands.get("global", {}).get("parameters", {}), **commands.get("deploy", {}).get("parameters", {})}
    pairs = settings.get("parameter_overrides", [])
    pairs = pairs.split() if isinstance(pairs, str) else pairs
    given = {name: value.strip("\"'") for name, _, value in (pair.partition("=") for pair in pairs)}
    return {"stack_name": settings.get("stack_name"), "parameters": given}


def _attribute(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_api(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "ApiId"}
