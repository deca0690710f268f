"""Decryption of messages of the AWS Encryption SDK under one KMS key: https://docs.aws.amazon.com/encryption-sdk/."""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass

import aws_encryption_sdk
import botocore.session
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError, DecryptKeyError
from aws_encryption_sdk.identifiers import CommitmentPolicy
from aws_encryption_sdk.streaming_client import StreamDecryptor
from botocore.config import Config
from cryptography.exceptions import InvalidSignature, InvalidTag

from mailroom.errors import ConfigurationError, RequestError

__all__ = ["Decrypted", "Decryptor"]

TIMEOUT_SECONDS = 2

# Since 3.13, Python reports the error of a stream that its finalizer closes: with a malformed message, a traceback
# in the log. The SDK has raised the same error before. https://docs.python.org/3.13/whatsnew/3.13.html#io
StreamDecryptor.__del__ = lambda self: None


@dataclass(frozen=True, slots=True)
class Decrypted:
    """A decrypted text, and the context that was authenticated with it."""

    text: str
    context: Mapping[str, str]


class Decryptor:
    """Decrypts with one key; made once a process."""

    def __init__(self, key_arn: str) -> None:
        self._key_arn = key_arn
        # Cognito writes messages without key commitment, which the SDK refuses by default (AWS's sample: suite 0x0378).
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
        self._client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy, max_encrypted_data_keys=5)
        session = botocore.session.Session()
        timeouts = Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries={"max_attempts": 2})
        session.set_default_client_config(timeouts)
        self._keys = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[key_arn], botocore_session=session)

    @classmethod
    def from_env(cls) -> "Decryptor":
        return cls(os.environ["KEY_ARN"])

    def decrypt(self, ciphertext: str) -> Decrypted:
        """Decrypt a message in base64; raise a RequestError for one that is malformed, changed, or of another key."""
        try:
            source = base64.b64decode(ciphertext, validate=True)
            plaintext, header = self._client.decrypt(source=source, key_provider=self._keys)
            return Decrypted(plaintext.decode(), dict(header.encryption_context))
        except DecryptKeyError as error:
            # KMS's own words are not in it: no permission, a disabled key, an outage, or a message of another key.
            detail = f"{self._key_arn} does not decrypt it: check the key and the function's permission"
            raise ConfigurationError("kms", type(error).__name__, detail) from error
        # An altered signature raises an error of the cryptography library, an altered length one of Python's.
        except (AWSEncryptionSDKClientError, InvalidSignature, InvalidTag, binascii.Error, ValueError) as error:
            raise RequestError(422, f"The code cannot be decrypted: {type(error).__name__}.") from error
