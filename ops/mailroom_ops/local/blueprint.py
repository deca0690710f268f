"""Read template.yaml for the environment `development`: its resources, functions, routes and event sources."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailroom_ops.cloudformation import loader as template_file
from mailroom_ops.cloudformation import samconfig
from mailroom_ops.cloudformation.intrinsics import Template
from mailroom_ops.environment import ACCOUNT
from mailroom_ops.local import bytecode
from mailroom_ops.local.gateway import Route
from mailroom_ops.local.poller import Source
from mailroom_ops.local.variables import lambda_variables
from mailroom_ops.local.worker import Spec

__all__ = ["ENVIRONMENT", "Blueprint"]

ENVIRONMENT = "development"
MAX_PROCESSES = 4  # of one function
SETTINGS_CACHE_SECONDS = 0.5  # a change shows within a second; deployed, functions cache settings for five minutes
LANE_CONCURRENCY = 2  # batches of one queue at a time, so that both lanes fit into the processes of one function


class Blueprint:
    """The template with its parameters set and its resources named; `locate_queues` adds the queue URLs later."""

    def __init__(
        self, root: Path, region: str, parameters: Mapping[str, str], overrides: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.root = root
        self._overrides = overrides
        config = samconfig.load(ENVIRONMENT, root / "samconfig.toml")
        self.stack_name = config.stack_name
        pseudo = {
            "AWS::Region": region,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{self.stack_name}/local",
        }
        all_parameters = {**config.parameters, **parameters, "Environment": ENVIRONMENT}
        self._template = Template.deploy(template_file.load(root / "template.yaml"), all_parameters, pseudo)
        self._name_everything(region)

    def specs(self, aws_endpoint: str, extra: Mapping[str, str]) -> dict[str, Spec]:
        """Return the functions by their folder names."""
        specs, region = {}, self._template.pseudo["AWS::Region"]
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
                **lambda_variables(region, name, str(memory), folder, handler),
                "PYTHONPATH": ":".join(layers),
                **bytecode.VARIABLE,
                **variables,
                "AWS_ENDPOINT_URL": aws_endpoint,
                "SETTINGS_CACHE_SECONDS": str(SETTINGS_CACHE_SECONDS),
                "CALLBACKS_TO_LOOPBACK": "true",
                **extra,
            }
            limit = min(MAX_PROCESSES, int(properties.get("ReservedConcurrentExecutions", MAX_PROCESSES)))
            arn = self._template.attribute(logical_id, "Arn")
            specs[folder.name] = Spec(folder.name, name, arn, folder, handler, environment, float(timeout), limit)
        return specs

    def routes(self) -> list[Route]:
        """Return the routes of the HTTP API."""
        return [
            Route(event["Method"].upper(), event["Path"], function)
            for function, kind, event in self._events()
            if kind == "HttpApi"
        ]

    def throttle(self) -> tuple[float, float]:
        """Return the rate (requests per second) and burst limits of each route."""
        for properties in self._template.resources("AWS::Serverless::HttpApi").values():
            limits = self._template.resolve(properties.get("DefaultRouteSettings", {}))
            return float(limits.get("ThrottlingRateLimit", 0)), float(limits.get("ThrottlingBurstLimit", 0))
        return 0, 0

    def access_log_format(self) -> str:
        """Return the format of the HTTP API's access log, with its variables such as `$context.status`."""
        for properties in self._template.resources("AWS::Serverless::HttpApi").values():
            return str(self._template.resolve(properties.get("AccessLogSettings", {}).get("Format", "")))
        return ""

    def sources(self) -> list[Source]:
        """Return the queues that trigger functions."""
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

    def queues(self) -> dict[str, dict[str, Any]]:
        """Return the properties of the queues, by logical id."""
        raw = self._template.resources("AWS::SQS::Queue")
        return {name: {**self._template.resolve(raw[name]), **self._overrides.get(name, {})} for name in raw}

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the properties of the tables, by logical id."""
        raw = self._template.resources("AWS::DynamoDB::Table")
        return {name: self._template.resolve(properties) for name, properties in raw.items()}

    def queue_name(self, logical_id: str) -> str:
        return str(self._template.attribute(logical_id, "QueueName"))

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

    def locate_queues(self, endpoint: str) -> None:
        """Set the URLs of the queues."""
        for values in self._template.attributes.values():
            if "QueueName" in values:
                values["Ref"] = f"{endpoint}/{ACCOUNT}/{values['QueueName']}"

    def _functions(self) -> dict[str, dict[str, Any]]:
        shared = self._template.body.get("Globals", {}).get("Function", {})
        keys = (
            "CodeUri",
            "Handler",
            "FunctionName",
            "MemorySize",
            "Timeout",
            "Layers",
            "ReservedConcurrentExecutions",
        )
        functions = {}
        for logical_id, own in self._template.resources("AWS::Serverless::Function").items():
            merged = {key: value for key, value in {**shared, **own}.items() if key in keys}
            variables = [part.get("Environment", {}).get("Variables", {}) for part in (shared, own)]
            resolved = self._template.resolve(merged)
            resolved["FunctionName"] = self._template.attribute(logical_id, "Ref")
            resolved["Environment"] = {"Variables": self._template.resolve({**variables[0], **variables[1]})}
            functions[logical_id] = resolved
        return functions

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
        # Lambda mounts layers at /opt.
        text = str(value)
        return f"{self.root}/layers/{text.removeprefix('/opt/')}" if text.startswith("/opt/") else text


def _without_api(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "ApiId"}
