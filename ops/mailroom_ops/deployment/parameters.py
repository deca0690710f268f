"""The parameters of one deployment: those of samconfig.toml, and over them those of PARAMS."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from mailroom_ops.cloudformation import loader
from mailroom_ops.cloudformation.intrinsics import Template, TemplateError
from mailroom_ops.errors import InvalidInput

__all__ = ["merge", "parse"]

TEMPLATE = Path(__file__).parents[3] / "template.yaml"


def parse(text: str) -> dict[str, str]:
    """Return the parameters in a text such as `Providers=ses,resend AlarmTopicArn=arn:…`, quoted as in a shell."""
    parameters = {}
    for word in _words(text):
        name, separator, value = word.partition("=")
        if not separator:
            raise InvalidInput(f"PARAMS contains {word}, which is not NAME=VALUE.", 'PARAMS="Providers=ses,resend"')
        parameters[name] = value
    return parameters


def merge(environment: str, config: Mapping[str, str], params: Mapping[str, str], architecture: str) -> dict[str, str]:
    """Return all parameters to set; refuse unknown names, malformed values and another environment's name."""
    for source, parameters in (("samconfig.toml", config), ("PARAMS", params)):
        if (other := parameters.get("Environment", environment)) != environment:
            problem = f"{source} contains Environment={other}, and the stack is that of {environment}."
            raise InvalidInput(problem, f"Remove it; make deploy ENVIRONMENT={other} deploys {other}.")
    merged = {**config, **({"Architecture": architecture} if architecture else {}), **params}
    merged["Environment"] = environment
    try:
        Template.deploy(loader.load(TEMPLATE), merged, {})
    except TemplateError as error:
        raise InvalidInput(f"{str(error)[:1].upper()}{str(error)[1:]}.", "docs/deploy.md lists all.") from error
    return merged


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidInput(f"PARAMS cannot be read: {error}.") from error
