"""Settings and secrets of one environment, from SSM: cached, refreshed on demand, and kept on use while SSM is down."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from mailroom.aws.client import Aws, AwsError
from mailroom.errors import ConfigurationError, TemporaryFailure
from mailroom.model.json_settings import InvalidSetting, MergedSettings, brand_names, merge, sender_names
from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender, provider_chain, read_mailbox
from mailroom.providers import kind_of, spec_of

__all__ = ["FRESH", "SHARED_TEST_SENDER", "Settings"]

FRESH = 300.0  # seconds
NAMES_PER_CALL = 10  # the most that GetParameters takes
ADDRESS_KEY = "ledger/address_key"
SHARED_TEST_SENDER = Mailbox("onboarding@resend.dev")


class Settings:
    """Reads `/mailroom/{environment}/…`; names here are relative to it."""

    def __init__(
        self, aws: Aws, environment: str, chain: tuple[str, ...] = (), clock: Callable[[], float] = time.time
    ) -> None:
        self._aws = aws
        self._root = f"/mailroom/{environment}/"
        self.chain = chain
        self._clock = clock
        self._values: dict[str, str | None] = {}
        self._read_at: dict[str, float] = {}

    @classmethod
    def from_env(cls, aws: Aws) -> "Settings":
        chain = (name.strip() for name in os.environ.get("PROVIDERS", "").split(","))
        return cls(aws, os.environ["ENVIRONMENT"], tuple(name for name in chain if name))

    def refresh(self) -> None:
        """Read everything anew at its next use: a provider said that a key is bad."""
        self._read_at.clear()

    def tree(self, path: str) -> dict[str, str]:
        """Return all values below `path`, by their names below it."""
        if self._is_stale(path):
            found = self._read_tree(path)
            if found is not None:
                for name in [name for name in self._values if name.startswith(f"{path}/")]:
                    del self._values[name]
                self._values |= {f"{path}/{name}": value for name, value in found.items()}
                self._read_at[path] = self._clock()
        below = {name: value for name, value in self._values.items() if name.startswith(f"{path}/")}
        return {name.removeprefix(f"{path}/"): value for name, value in below.items() if value is not None}

    def values(self, *names: str) -> dict[str, str]:
        """Return those of `names` that are set, in one round trip for ten of them."""
        stale = [name for name in names if self._is_stale(name)]
        for start in range(0, len(stale), NAMES_PER_CALL):
            self._read_names(stale[start : start + NAMES_PER_CALL])
        return {name: value for name in names if (value := self._values.get(name))}

    def json(self, name: str) -> dict[str, Any]:
        """Return a setting that is a JSON object; empty where it is not set."""
        return dict(self._merged([name]).values)

    def sender(self, tenant: str, purpose: str) -> Sender:
        """Return the tenant's sender for a purpose, completed by its auth sender and by the default tenant's."""
        settings = self._merged(sender_names(tenant, purpose))
        try:
            chain = provider_chain(settings, self.chain)
            from_ = read_mailbox(settings, "from") or self._shared_sender(chain)
            reply_to = read_mailbox(settings, "reply_to")
            return Sender(from_, reply_to, chain, settings.text("default_locale") or "en")
        except InvalidSetting as error:
            raise self.malformed(error.name, str(error)) from error

    def brand(self, tenant: str) -> Mapping[str, str]:
        """Return the tenant's brand, completed by the default tenant's."""
        settings = self._merged(brand_names(tenant))
        return {key: value for key, value in settings.values.items() if isinstance(value, str)}

    def provider(self, name: str) -> dict[str, str]:
        """Return what the operator has set for a provider."""
        prefix = f"providers/{name}/"
        found = self.values(*(prefix + key for key in spec_of(name).settings))
        return {key.removeprefix(prefix): value for key, value in found.items()}

    def prefetch(self, tenant: str, purpose: str) -> None:
        """Read in one round trip what one mail of this tenant needs, so that a cold start pays for one."""
        chain_names = (f"providers/{n}/{key}" for n in self.chain for key in spec_of(n).settings)
        self.values(*dict.fromkeys([*sender_names(tenant, purpose), *brand_names(tenant), ADDRESS_KEY, *chain_names]))

    def address_key(self) -> str:
        """Return what this environment hashes addresses with; made when it is first needed."""
        return self.values(ADDRESS_KEY).get(ADDRESS_KEY) or self.create(ADDRESS_KEY, secrets.token_hex(32))

    def create(self, name: str, value: str) -> str:
        """Set a secret that nobody has set yet, and return what it is now: ours, or the one who came first."""
        parameter = {"Name": self._root + name, "Value": value, "Type": "SecureString", "Overwrite": False}
        try:
            self._aws.call("ssm", "PutParameter", parameter)
        except AwsError as refusal:
            if refusal.code != "ParameterAlreadyExists":
                raise
        self._read_at.pop(name, None)
        return self.values(name)[name]

    def missing(self, name: str) -> ConfigurationError:
        """Name what is not set, with the command that sets it."""
        return ConfigurationError("settings", "missing", f"{name} is not set: {self._command(name)}")

    def malformed(self, name: str, why: str) -> ConfigurationError:
        return ConfigurationError("settings", "malformed", f"{name} is malformed, {why}: {self._command(name)}")

    def _command(self, name: str) -> str:
        return f"mailroom secrets set {name} --env {self._root.split('/')[2]}"

    def _shared_sender(self, chain: tuple[str, ...]) -> Mailbox:
        if not chain or kind_of(chain[0]) == "resend":
            return SHARED_TEST_SENDER
        raise self.missing("senders/default/auth")

    def _merged(self, names: list[str]) -> MergedSettings:
        settings = merge(names, self.values(*names))
        for name in settings.malformed:
            raise self.malformed(name, "it must be a JSON object")
        return settings

    def _is_stale(self, name: str) -> bool:
        return self._clock() - self._read_at.get(name, float("-inf")) > FRESH

    def _read_tree(self, path: str) -> dict[str, str] | None:
        found: dict[str, str] = {}
        query: dict[str, Any] = {"Path": self._root + path, "Recursive": True, "WithDecryption": True}
        try:
            while True:
                answer = self._aws.call("ssm", "GetParametersByPath", query)
                found |= {p["Name"].removeprefix(f"{self._root}{path}/"): p["Value"] for p in answer["Parameters"]}
                if not answer.get("NextToken"):
                    return found
                query["NextToken"] = answer["NextToken"]
        except TemporaryFailure:
            if any(name.startswith(f"{path}/") for name in self._values):
                return None
            raise

    def _read_names(self, names: list[str]) -> None:
        query = {"Names": [self._root + name for name in names], "WithDecryption": True}
        try:
            answer = self._aws.call("ssm", "GetParameters", query)
        except TemporaryFailure:
            if all(name in self._values for name in names):
                return
            raise
        self._values |= dict.fromkeys(names) | {
            p["Name"].removeprefix(self._root): p["Value"] for p in answer["Parameters"]
        }
        self._read_at |= dict.fromkeys(names, self._clock())
