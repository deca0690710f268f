"""SES's events through an SNS topic over HTTPS, signed: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html

Straight from SNS or EventBridge to the function is simpler, and needs no signature: see ses.py.
"""

import http.client
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mailroom.errors import RequestError, TemporaryFailure
from mailroom.feedback import ses
from mailroom.feedback._fields import body_of, moment, text
from mailroom.feedback._proof import TOLERANCE, unbase64, unproven
from mailroom.model.event import Report
from mailroom.request import Request, parse_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

NEEDS = ("topic_arn",)  # a good signature proves that some topic speaks, not that it is ours

NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SIGNED = {
    "Notification": NOTIFICATION,
    "SubscriptionConfirmation": CONFIRMATION,
    "UnsubscribeConfirmation": CONFIRMATION,
}
TIMEOUT = 3.0
LONGEST_ANSWER = 64 * 1024

keys: "dict[str, RSAPublicKey]" = {}


def read(request: Request, account: str, secrets: Mapping[str, Sequence[str]]) -> Report:
    body = body_of(request)
    host = verify(body, secrets["topic_arn"], request.received_at)
    match body["Type"]:
        case "SubscriptionConfirmation":
            get(_on(host, body["SubscribeURL"], "/"))
        case "Notification":
            message = parse_json(body["Message"].encode("utf-8", "surrogatepass"))
            return Report(ses.parse(message, account, request.received_at))
    return Report()


def verify(body: Mapping[str, Any], topics: Sequence[str], now: float) -> str:
    """Refuse what a topic of ours has not signed; return the host that speaks for that topic."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    names = SIGNED.get(text(body, "Type"), ())
    fields = [(name, body[name]) for name in names if body.get(name) is not None]
    if not fields or not all(isinstance(value, str) for _, value in fields):
        raise unproven("it is not a message of SNS")
    if not {name for name, _ in fields} >= {*names} - {"Subject"}:
        raise unproven("a part of it is missing")
    topic = text(body, "TopicArn")
    if topic not in topics:
        raise unproven("its topic is not one of ours")
    if abs(now - moment(body, "Timestamp", default=0)) > TOLERANCE:
        raise unproven("its time is malformed, or too far from now")
    digest = {"1": SHA1, "2": SHA256}.get(text(body, "SignatureVersion"))
    if digest is None:
        raise unproven("its signature is of no version we know")
    host = _host_of(topic)
    key = _key_at(_on(host, body.get("SigningCertURL"), ".pem"))
    signed = "".join(f"{name}\n{value}\n" for name, value in fields).encode("utf-8", "surrogatepass")
    try:
        key.verify(unbase64(str(body.get("Signature"))), signed, PKCS1v15(), digest())
    except InvalidSignature as error:
        raise unproven("the signature does not fit") from error
    return host


def _key_at(url: str) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import load_pem_x509_certificate

    if url not in keys:
        try:
            key = load_pem_x509_certificate(get(url)).public_key()
        except ValueError as error:
            raise unproven("what it calls its certificate is none") from error
        if not isinstance(key, RSAPublicKey):
            raise unproven("its certificate holds no RSA key")
        keys[url] = key
    return keys[url]


def _host_of(topic: str) -> str:
    """Return who signs for a topic: arn:aws:sns:eu-west-1:… is sns.eu-west-1.amazonaws.com."""
    _, partition, _, region, *_ = [*topic.split(":"), "", "", "", ""]
    return f"sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


def _on(host: str, url: Any, ending: str) -> str:
    """Return an address if it is https on this host and nothing else; anyone may write one into a message."""
    try:
        parts = urlsplit(url if isinstance(url, str) and url.isprintable() else "")
        sound = parts.scheme == "https" and parts.netloc == host and parts.path.endswith(ending)
    except ValueError:
        sound = False
    if not sound:
        raise unproven("it points away from the topic's own host")
    return str(url)


def get(url: str) -> bytes:
    """Fetch, following nothing."""
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=ssl.create_default_context())
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        content = answer.read(LONGEST_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        raise TemporaryFailure("sns", "unreachable", type(error).__name__) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise RequestError(400, "What this message points to is not there.")
    return content
