"""Translate template.yaml as CloudFormation does: AWS::LanguageExtensions, then AWS::Serverless. Runs in .cache/sam.

Reads `[{"region", "account", "parameters"}, …]` from standard input, and prints the translated templates as JSON.
"""

import json
import os
import re
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

from boto3.session import Session
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

CODE = {"CodeUri": "s3://artifacts/code.zip", "ContentUri": "s3://artifacts/layer.zip"}


def translate(
    source: dict[str, Any], region: str, account: str, stack: str, parameters: dict[str, str]
) -> dict[str, Any]:
    """Return the template that CloudFormation would deploy."""
    body = deepcopy(source)
    for resource in body["Resources"].values():
        properties = resource.get("Properties", {})
        properties.update({name: uri for name, uri in CODE.items() if name in properties})
    known = {"AWS::Region": region, "AWS::AccountId": account, "AWS::StackName": stack}
    expanded = expand_language_extensions(body, parameter_values={**known, **parameters}, enabled=True)
    assert expanded.had_language_extensions
    template: dict[str, Any] = Translator({}, Parser(), boto_session=Session(region_name=region)).translate(
        sam_template=restore_sub(expanded.expanded_template, set(body["Resources"])), parameter_values=parameters
    )
    return template


def restore_sub(value: Any, resources: set[str]) -> Any:
    """Return a value with Fn::Sub around what still contains resources.

    SAM CLI's library (1.170) leaves it out where it could resolve a part. AWS's own service does not.
    """
    if isinstance(value, dict):
        return {key: item if key == "Fn::Sub" else restore_sub(item, resources) for key, item in value.items()}
    if isinstance(value, list):
        return [restore_sub(item, resources) for item in value]
    is_partial = isinstance(value, str) and resources & set(re.findall(r"\$\{(\w+)", value))
    return {"Fn::Sub": value} if is_partial else value


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    source = yaml_parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps([translate(source, **variant) for variant in json.load(sys.stdin)]))
