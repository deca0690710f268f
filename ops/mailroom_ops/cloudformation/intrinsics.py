"""Resolve a CloudFormation template for one environment: parameters, conditions and intrinsic functions.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Template", "TemplateError"]

PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
NO_VALUE = object()


class TemplateError(Exception):
    """The template uses something that the local stack does not support; the message names it."""


@dataclass
class Template:
    """A parsed template with its parameter values; `attributes` are those of the resources created so far."""

    body: Mapping[str, Any]
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, str]
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def deploy(cls, body: Mapping[str, Any], parameters: Mapping[str, str], pseudo: Mapping[str, str]) -> "Template":
        """Return the template with its parameters; an unknown or a missing one is an error, as on AWS."""
        declared = body.get("Parameters", {})
        if unknown := set(parameters) - set(declared):
            raise TemplateError(f"the template has no parameter {', '.join(sorted(unknown))}")
        values = {}
        for name, declaration in declared.items():
            value = parameters.get(name, declaration.get("Default"))
            if value is None:
                raise TemplateError(f"parameter {name} has no default: set it in samconfig.toml")
            allowed = [str(choice) for choice in declaration.get("AllowedValues", ())]
            if allowed and str(value) not in allowed:
                raise TemplateError(f"parameter {name} is {value!r}: use {', '.join(allowed)}")
            if not re.search(declaration.get("AllowedPattern", ""), str(value)):
                raise TemplateError(
                    f"parameter {name} is {value!r}: it {declaration.get('ConstraintDescription', 'is not allowed')}"
                )
            is_list = "List" in declaration["Type"]
            values[name] = [part for part in str(value).split(",") if part] if is_list else str(value)
        return cls(body, values, pseudo)

    def resources(self, type_: str) -> dict[str, dict[str, Any]]:
        """Return the unresolved properties of every resource of a type whose condition is true."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.body["Resources"].items()
            if resource["Type"] == type_ and self.holds(resource.get("Condition"))
        }

    def holds(self, condition: str | None) -> bool:
        return condition is None or self.resolve(self.body["Conditions"][condition]) is True

    def resolve(self, value: Any) -> Any:
        """Return a value with all its intrinsic functions evaluated."""
        if isinstance(value, list):
            return [result for item in value if (result := self.resolve(item)) is not NO_VALUE]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name in FUNCTIONS:
                return FUNCTIONS[name](self, argument)
            if name.startswith("Fn::"):
                raise TemplateError(f"the local stack does not support {name}")
        return {key: result for key, item in value.items() if (result := self.resolve(item)) is not NO_VALUE}

    def ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        for values in (self.parameters, self.pseudo):
            if name in values:
                return values[name]
        return self.attribute(name, "Ref")

    def attribute(self, resource: str, name: str) -> Any:
        try:
            return self.attributes[resource][name]
        except KeyError:
            raise TemplateError(f"the local stack has no {name} of resource {resource}") from None

    def _sub(self, argument: Any) -> str:
        text, values = argument if isinstance(argument, list) else (argument, {})
        local = {key: self.resolve(item) for key, item in values.items()}

        def replace(placeholder: re.Match[str]) -> str:
            literal, name = placeholder.groups()
            if literal:
                return f"${{{name}}}"
            if name in local:
                return str(local[name])
            return str(self._get(name) if "." in name else self.ref(name))

        return PLACEHOLDER.sub(replace, text)

    def _get(self, argument: Any) -> Any:
        resource, name = argument.split(".", 1) if isinstance(argument, str) else argument
        return self.attribute(resource, name)

    def _if(self, argument: Any) -> Any:
        condition, if_true, if_false = argument
        return self.resolve(if_true if self.holds(condition) else if_false)

    def _equals(self, argument: Any) -> bool:
        left, right = (self.resolve(side) for side in argument)
        return _text(left) == _text(right)

    def _join(self, argument: Any) -> str:
        separator, parts = argument
        return str(separator).join(str(part) for part in self.resolve(parts))

    def _select(self, argument: Any) -> Any:
        index, choices = argument
        return self.resolve(choices)[int(self.resolve(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _find(self, argument: Any) -> Any:
        table, first, second = (self.resolve(part) for part in argument)
        return self.resolve(self.body["Mappings"][table][first][second])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


FUNCTIONS: Mapping[str, Callable[[Template, Any], Any]] = {
    "Ref": Template.ref,
    "Condition": Template.holds,
    "Fn::GetAtt": Template._get,
    "Fn::Sub": Template._sub,
    "Fn::If": Template._if,
    "Fn::Equals": Template._equals,
    "Fn::And": lambda template, parts: all(map(template.resolve, parts)),
    "Fn::Or": lambda template, parts: any(map(template.resolve, parts)),
    "Fn::Not": lambda template, parts: not template.resolve(parts[0]),
    "Fn::Join": Template._join,
    "Fn::Select": Template._select,
    "Fn::Split": Template._split,
    "Fn::FindInMap": Template._find,
}
