"""A backup of an environment's parameters in one file: settings in the clear, secrets encrypted with a passphrase.

The key of the ledger's address hashes always belongs to it: without that key, a restored ledger knows no suppression.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mailroom.model.parameter_names import ADDRESS_KEY
from mailroom_ops.errors import InvalidInput
from mailroom_ops.settings import catalog

__all__ = ["Backup", "is_encrypted", "make", "parse"]

FORMAT = 1
SCRYPT = {"n": 2**15, "r": 8, "p": 1}  # a tenth of a second and 32 MB for each guess of the passphrase
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32


@dataclass(frozen=True, slots=True)
class Backup:
    """The content of a backup; `missing` are the names of secrets that it does not contain."""

    environment: str
    made_at: str
    values: Mapping[str, str] = field(repr=False)
    missing: tuple[str, ...] = ()

    @property
    def has_address_key(self) -> bool:
        return ADDRESS_KEY in self.values


def make(environment: str, values: Mapping[str, str], passphrase: str, *, with_secrets: bool) -> str:
    """Return the text of a backup: all settings, the address key, and with `with_secrets` all secrets."""
    secrets = {name: value for name, value in values.items() if _is_secret(name)}
    included = secrets if with_secrets else {name: value for name, value in secrets.items() if name == ADDRESS_KEY}
    document = {
        "format": FORMAT,
        "environment": environment,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "settings": {name: value for name, value in values.items() if name not in secrets},
        "missing": sorted(secrets.keys() - included.keys()),
        "secrets": _encrypt(json.dumps(included), passphrase, environment) if included else None,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def is_encrypted(text: str) -> bool:
    """Test whether a passphrase is needed to read a backup."""
    return bool(_document(text).get("secrets"))


def parse(text: str, passphrase: str) -> Backup:
    """Return the content of a backup; raise InvalidInput for another file, or for the wrong passphrase."""
    document = _document(text)
    environment = str(document["environment"])
    values = dict(document["settings"])
    if encrypted := document.get("secrets"):
        values |= json.loads(_decrypt(encrypted, passphrase, environment))
    return Backup(environment, str(document["made_at"]), dict(sorted(values.items())), tuple(document["missing"]))


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidInput("The file is no backup: it is not JSON.") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidInput("The file is no backup of this version of mailroom.")
    return document


def _is_secret(name: str) -> bool:
    setting = catalog.find(name)
    return setting is None or setting.is_secret  # an unknown one may be one


def _encrypt(text: str, passphrase: str, environment: str) -> dict[str, Any]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    sealed = AESGCM(_key(passphrase, salt, SCRYPT)).encrypt(nonce, text.encode(), environment.encode())
    parts = {"salt": salt, "nonce": nonce, "text": sealed}
    encoded = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    return {"cipher": "scrypt, AES-256-GCM", **SCRYPT, **encoded}


def _decrypt(encrypted: Mapping[str, Any], passphrase: str, environment: str) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce, sealed = (base64.b64decode(encrypted[name]) for name in ("salt", "nonce", "text"))
    key = _key(passphrase, salt, {name: int(encrypted[name]) for name in SCRYPT})
    try:
        return AESGCM(key).decrypt(nonce, sealed, environment.encode()).decode()
    except InvalidTag as error:
        raise InvalidInput("The passphrase is wrong, or the file was changed.") from error


def _key(passphrase: str, salt: bytes, parameters: Mapping[str, int]) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=KEY_BYTES, **parameters).derive(passphrase.encode())
