"""Create the queues and tables of template.yaml in moto, and load the secrets."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from mailroom_ops.cloudformation.intrinsics import TemplateError
from mailroom_ops.local.aws_server import Aws
from mailroom_ops.local.blueprint import ENVIRONMENT, Blueprint

__all__ = ["load_secrets", "provision", "read_settings"]

NOT_ATTRIBUTES = {"QueueName", "Tags", "RedrivePolicy"}
TABLE = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes", "StreamSpecification")


def provision(blueprint: Blueprint, aws: Aws) -> None:
    """Create the queues and the tables."""
    blueprint.locate_queues(aws.endpoint)
    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(create, blueprint, aws) for create in (_create_queues, _create_tables)]:
            future.result()


def _create_queues(blueprint: Blueprint, aws: Aws) -> None:
    sqs, queues = aws.client("sqs"), blueprint.queues()
    for logical_id, properties in queues.items():
        attributes = {key: _attribute(value) for key, value in properties.items() if key not in NOT_ATTRIBUTES}
        sqs.create_queue(QueueName=blueprint.queue_name(logical_id), Attributes=attributes)
    for logical_id, properties in queues.items():
        if policy := properties.get("RedrivePolicy"):
            url = blueprint.queue_url(logical_id)
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": _attribute(policy)})


def _create_tables(blueprint: Blueprint, aws: Aws) -> None:
    dynamodb = aws.client("dynamodb")
    for logical_id, properties in blueprint.tables().items():
        name = blueprint.table_name(logical_id)
        dynamodb.create_table(TableName=name, **{key: properties[key] for key in TABLE if key in properties})
        if ttl := properties.get("TimeToLiveSpecification"):
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)


def _attribute(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def read_settings(aws: Aws) -> dict[str, str]:
    """Return the parameters of the environment, by their names below its own."""
    path = f"/mailroom/{ENVIRONMENT}/"
    pages = aws.client("ssm").get_paginator("get_parameters_by_path")
    parameters = [
        item
        for page in pages.paginate(Path=path.rstrip("/"), Recursive=True, WithDecryption=True)
        for item in page["Parameters"]
    ]
    return {item["Name"].removeprefix(path): item["Value"] for item in parameters}


def load_secrets(
    path: Path, defaults: Mapping[str, str], aws: Aws, loaded: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Write a secrets file into SSM, and those of `defaults` that it does not contain; return all of them.

    `loaded` is the result of the time before. What is the same as then stays as it is in SSM: it may have been changed
    by the command since. So does a default that was changed.
    """
    try:
        lines = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise TemplateError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(lines, dict):
        raise TemplateError(f"{path.name} must consist of lines `name: value`")
    values = {name: _text(value) for name, value in {**defaults, **lines}.items()}
    before, current = loaded or {}, read_settings(aws) if loaded else {}
    ssm = aws.client("ssm")
    for name, text in values.items():
        is_untouched = current.get(name) == before.get(name)
        if text != before.get(name) and (name in lines or is_untouched):
            ssm.put_parameter(Name=f"/mailroom/{ENVIRONMENT}/{name}", Value=text, Type="SecureString", Overwrite=True)
    for name in before.keys() - values.keys():
        if name in current and current[name] == before[name]:
            ssm.delete_parameter(Name=f"/mailroom/{ENVIRONMENT}/{name}")
    return values


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value).strip()
