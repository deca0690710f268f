"""A model of the parameter store."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Parameters"]

NAMES_PER_CALL = 10
VALUES_PER_PAGE = 10


class Parameters:
    """The API of SSM over a dict of names and values."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def request(self, operation: str, payload: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        match operation:
            case "GetParameters":
                names = payload["Names"]
                if not 1 <= len(names) <= NAMES_PER_CALL or len(set(names)) < len(names):
                    return 400, {"__type": "ValidationException", "message": "1 to 10 different names are allowed"}
                found = [{"Name": name, "Value": self.values[name]} for name in names if name in self.values]
                missing = [name for name in names if name not in self.values]
                return 200, {"Parameters": found, "InvalidParameters": missing}
            case "GetParameter":
                name = payload["Name"]
                if name not in self.values:
                    return 400, {"__type": "ParameterNotFound", "message": ""}
                return 200, {"Parameter": {"Name": name, "Value": self.values[name]}}
            case "GetParametersByPath":
                path = payload["Path"].rstrip("/") + "/"
                names = sorted(name for name in self.values if name.startswith(path))
                if not payload.get("Recursive"):
                    names = [name for name in names if "/" not in name.removeprefix(path)]
                start = int(payload.get("NextToken", 0))
                count = payload.get("MaxResults", VALUES_PER_PAGE)
                page = [{"Name": name, "Value": self.values[name]} for name in names[start : start + count]]
                more = {"NextToken": str(start + count)} if start + count < len(names) else {}
                return 200, {"Parameters": page, **more}
            case "PutParameter":
                name = payload["Name"]
                if name in self.values and not payload.get("Overwrite"):
                    return 400, {"__type": "ParameterAlreadyExists", "message": "The parameter already exists."}
                self.values[name] = payload["Value"]
                return 200, {"Version": 1}
        return 400, {"__type": "InvalidAction", "message": f"{operation} is not modeled"}
