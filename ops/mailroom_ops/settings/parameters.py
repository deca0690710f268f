"""The parameter store of one environment: `/mailroom/{environment}/…`, names relative to that."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mailroom_ops.environment import Environment, aws_error
from mailroom_ops.errors import OperatorError
from mailroom_ops.settings import catalog

__all__ = ["Parameter", "Parameters"]

NAMES_PER_CALL = 10  # the most that DeleteParameters takes


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; its value is kept out of its `repr`."""

    name: str
    value: str = field(repr=False)
    is_encrypted: bool
    version: int
    changed: datetime
    author: str = ""  # of a version: the last part of the caller's ARN


class Parameters:
    """Reads and writes parameters; an error of AWS is raised as an OperatorError."""

    def __init__(self, environment: Environment) -> None:
        self._ssm: Any = environment.client("ssm")
        self._root = f"/mailroom/{environment.name}/"

    def all(self, path: str = "") -> dict[str, Parameter]:
        """Return every parameter below `path`, by name, in the order of names."""
        from botocore.exceptions import BotoCoreError, ClientError

        parameters = {}
        pages = self._ssm.get_paginator("get_parameters_by_path")
        try:
            for page in pages.paginate(Path=(self._root + path).rstrip("/"), Recursive=True, WithDecryption=True):
                for item in page["Parameters"]:
                    name = item["Name"].removeprefix(self._root)
                    encrypted = item["Type"] == "SecureString"
                    parameters[name] = Parameter(
                        name, item["Value"], encrypted, item["Version"], item["LastModifiedDate"]
                    )
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error
        return dict(sorted(parameters.items()))

    def values(self, path: str = "") -> dict[str, str]:
        return {name: parameter.value for name, parameter in self.all(path).items()}

    def history(self, name: str) -> list[Parameter]:
        """Return the versions of a parameter that SSM keeps, at most a hundred, newest first."""
        from botocore.exceptions import BotoCoreError, ClientError

        pages = self._ssm.get_paginator("get_parameter_history")
        versions = []
        try:
            for page in pages.paginate(Name=self._root + name, WithDecryption=True):
                for item in page["Parameters"]:
                    is_encrypted = item["Type"] == "SecureString"
                    author = item.get("LastModifiedUser", "").rpartition("/")[2]
                    changed = item["LastModifiedDate"]
                    versions.append(Parameter(name, item["Value"], is_encrypted, item["Version"], changed, author))
        except self._ssm.exceptions.ParameterNotFound:
            return []
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error
        return sorted(versions, key=lambda version: version.version, reverse=True)

    def put(self, name: str, value: str) -> None:
        """Write one parameter. One that exists keeps its type: SSM has no way to change it."""
        from botocore.exceptions import BotoCoreError, ClientError

        setting = catalog.find(name)
        kind = "String" if setting and not setting.is_secret else "SecureString"
        # The advanced tier only where the value needs it: a parameter of that tier costs money, and keeps its tier.
        may_be_large = setting is not None and setting.max_bytes > catalog.MAX_BYTES
        tier = {"Tier": "Intelligent-Tiering"} if may_be_large else {}
        try:
            try:
                self._ssm.put_parameter(Name=self._root + name, Value=value, Type=kind, **tier)
            except self._ssm.exceptions.ParameterAlreadyExists:
                self._ssm.put_parameter(Name=self._root + name, Value=value, Overwrite=True, **tier)
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error

    def write(self, values: Mapping[str, str]) -> None:
        """Write several, in their order; an error names how many are written."""
        for done, (name, value) in enumerate(values.items()):
            try:
                self.put(name, value)
            except OperatorError as error:
                if done:
                    error.details = (f"{done} of {len(values)} are written; the same command again writes the rest.",)
                raise

    def delete(self, names: Iterable[str]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        full = [self._root + name for name in names]
        try:
            for start in range(0, len(full), NAMES_PER_CALL):
                self._ssm.delete_parameters(Names=full[start : start + NAMES_PER_CALL])
        except (BotoCoreError, ClientError) as error:
            raise aws_error(error) from error
