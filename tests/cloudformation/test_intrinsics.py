"""Parameters, conditions and intrinsic functions of a template."""

from typing import Any

import pytest

from mailroom_ops.cloudformation.intrinsics import Template, TemplateError

BODY = {
    "Parameters": {
        "Stage": {"Type": "String", "AllowedValues": ["dev", "prod"]},
        "Size": {"Type": "Number", "Default": 3},
        "Names": {"Type": "CommaDelimitedList", "Default": "a,b"},
        "Chain": {
            "Type": "String",
            "Default": "",
            "AllowedPattern": "^[a-z]*$",
            "ConstraintDescription": "must be small",
        },
    },
    "Mappings": {"Sizes": {"dev": {"memory": 1}, "prod": {"memory": 2}}},
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
        "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]},
        "Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]},
    },
    "Resources": {
        "Queue": {"Type": "Q", "Properties": {"Name": "q"}},
        "Never": {"Type": "Q", "Condition": "IsProd"},
    },
}


def template(**parameters: str) -> Template:
    deployed = Template.deploy(BODY, {"Stage": "dev", **parameters}, {"AWS::Region": "eu-west-1"})
    deployed.attributes["Queue"] = {"Ref": "http://q", "Arn": "arn:q"}
    return deployed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "Size"}, "3"),
        ({"Ref": "Names"}, ["a", "b"]),
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "Queue"}, "http://q"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:q"),
        ({"Fn::GetAtt": "Queue.Arn"}, "arn:q"),
        ({"Fn::Sub": "${Stage}-${Queue.Arn}-${!Literal}"}, "dev-arn:q-${Literal}"),
        ({"Fn::Sub": ["${Word}-${Size}", {"Word": {"Ref": "Stage"}}]}, "dev-3"),
        ({"Fn::If": ["IsProd", 1, {"Ref": "Size"}]}, "3"),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"Fn::If": ["Either", 1, 2]}, 1),
        ({"a": {"Fn::If": ["IsProd", 1, {"Ref": "AWS::NoValue"}]}, "b": 1}, {"b": 1}),
        ([{"Ref": "AWS::NoValue"}, 1], [1]),
        ({"Fn::Join": ["/", ["a", {"Ref": "Stage"}]]}, "a/dev"),
        ({"Fn::Select": [1, {"Fn::Split": [",", "x,y"]}]}, "y"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 1),
        ({"Statement": [{"Effect": "Allow"}]}, {"Statement": [{"Effect": "Allow"}]}),
        (True, True),
    ],
)
def test_an_intrinsic_function_is_evaluated(value: Any, expected: Any) -> None:
    assert template().resolve(value) == expected


def test_a_resource_exists_only_if_its_condition_is_true() -> None:
    assert set(template().resources("Q")) == {"Queue"}
    assert set(template(Stage="prod").resources("Q")) == {"Queue", "Never"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Stage": "test"}, "parameter Stage is 'test': use dev, prod"),
        ({"Chain": "BIG"}, "parameter Chain is 'BIG': it must be small"),
        ({"Other": "1"}, "the template has no parameter Other"),
    ],
)
def test_a_wrong_parameter_is_named_with_the_allowed_values(parameters: dict[str, str], message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        template(**parameters)

    assert str(caught.value) == message


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(TemplateError, match="parameter Stage has no default"):
        Template.deploy(BODY, {}, {})


@pytest.mark.parametrize(
    "value", [{"Ref": "Nobody"}, {"Fn::GetAtt": ["Queue", "Color"]}, {"Fn::ImportValue": "x"}, {"Fn::Sub": "${Nobody}"}]
)
def test_an_unknown_reference_is_an_error(value: Any) -> None:
    with pytest.raises(TemplateError):
        template().resolve(value)
