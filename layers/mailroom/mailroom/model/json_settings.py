"""Settings that are JSON objects, and the merge by which a tenant's settings complete the default's."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["InvalidSetting", "MergedSettings", "json_object", "merge"]


class InvalidSetting(ValueError):
    """A setting cannot be used; `name` is the setting that contains the faulty key."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


@dataclass(frozen=True, slots=True)
class MergedSettings:
    """Several JSON settings as one: a key of a later setting overrides that of an earlier one."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]  # for each key, the name of the setting it comes from
    malformed: tuple[str, ...] = ()  # settings that are not JSON objects, and so contribute nothing

    def text(self, key: str) -> str:
        """Return a text, empty where it is not set; raise InvalidSetting for another type."""
        value = self.values.get(key) or ""
        if not isinstance(value, str):
            raise InvalidSetting(self.origins[key], f"{key} must be a text")
        return value

    def all_texts(self) -> dict[str, str]:
        """Return the settings that are texts; a switch is "true" or "false"."""
        texts = {key: str(value).lower() if isinstance(value, bool) else value for key, value in self.values.items()}
        return {key: text for key, text in texts.items() if isinstance(text, str)}

    def minutes(self, key: str, maximum: int) -> float:
        """Return a number of minutes, 0 where it is not set; raise InvalidSetting for anything else."""
        value = self.values.get(key)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= maximum:
            raise InvalidSetting(self.origins[key], f"{key} must be a number of minutes, at most {maximum}")
        return value

    def seconds(self, key: str, minimum: int, maximum: int) -> float:
        """Return a number of seconds, 0 where it is 0 or not set; raise InvalidSetting for anything else."""
        value = self.values.get(key) or 0
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or (value and not minimum <= value <= maximum):
            raise InvalidSetting(self.origins[key], f"{key} must be 0, or {minimum} to {maximum} seconds")
        return float(value)

    def of_organization(self, organization: str) -> "MergedSettings":
        """Return the settings of one of the tenant's organizations: its keys override those of the tenant."""
        organizations = self.values.get("organizations")
        own = organizations.get(organization) if isinstance(organizations, dict) else None
        if not isinstance(own, dict):
            return self
        origins = {**self.origins, **dict.fromkeys(own, self.origins["organizations"])}
        return MergedSettings({**self.values, **own}, origins, self.malformed)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty where it is not set; raise InvalidSetting for another type."""
        value = self.values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InvalidSetting(self.origins[key], f"{key} must be a list of texts")
        return tuple(value)


def json_object(text: str) -> dict[str, Any] | None:
    """Parse a JSON object; return None for anything else."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def merge(names: Iterable[str], values: Mapping[str, str]) -> MergedSettings:
    """Combine the named settings in their order; a name without a value is passed over."""
    return _merged(tuple((name, values.get(name, "{}")) for name in names))


@lru_cache(maxsize=256)  # each mail needs the same few settings
def _merged(settings: tuple[tuple[str, str], ...]) -> MergedSettings:
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    malformed = []
    for name, text in settings:
        setting = json_object(text)
        if setting is None:
            malformed.append(name)
            continue
        merged |= setting
        origins |= dict.fromkeys(setting, name)
    return MergedSettings(merged, origins, tuple(malformed))
