"""The same mail through django-anymail's backends; for SMTP, which it leaves to Django, through Django's own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anymail.message import AnymailMessage  # type: ignore[import-untyped]
from django.conf import settings as django_settings
from django.core.mail import EmailMultiAlternatives, get_connection

from mailroom.model.email import Email

__all__ = ["NONE", "anymail"]

NONE = ("aliyun", "http")  # it has no backend for these


def anymail(name: str, settings: Mapping[str, str], emails: Sequence[Email]) -> Callable[[int], object]:
    """Return a function that sends the n-th mail, over one connection."""
    if not django_settings.configured:
        django_settings.configure()
    django_settings.ANYMAIL = _settings(name, settings)
    connection = _relay(settings) if name == "smtp" else get_connection(f"anymail.backends.{BACKENDS[name]}")
    connection.open()

    def send(number: int) -> object:
        email = emails[number]
        message = _plain(email) if name == "smtp" else _tagged(email)
        message.attach_alternative(email.html, "text/html")
        return connection.send_messages([message])

    return send


BACKENDS = {
    "resend": "resend.EmailBackend",
    "ses": "amazon_ses.EmailBackend",
    "sendgrid": "sendgrid.EmailBackend",
    "mailgun": "mailgun.EmailBackend",
    "postmark": "postmark.EmailBackend",
}


def _settings(name: str, values: Mapping[str, str]) -> dict[str, object]:
    match name:
        case "resend":
            return {"RESEND_API_KEY": values["api_key"], "RESEND_API_URL": f"{values['endpoint']}/"}
        case "ses":
            params = {"region_name": values["region"], "endpoint_url": values["endpoint"]}
            return {"AMAZON_SES_CLIENT_PARAMS": params}
        case "sendgrid":
            return {"SENDGRID_API_KEY": values["api_key"], "SENDGRID_API_URL": f"{values['endpoint']}/v3/"}
        case "mailgun":
            return {"MAILGUN_API_KEY": values["api_key"], "MAILGUN_API_URL": f"{values['endpoint']}/v3/"}
        case "postmark":
            return {"POSTMARK_SERVER_TOKEN": values["server_token"], "POSTMARK_API_URL": f"{values['endpoint']}/"}
    return {}


def _relay(values: Mapping[str, str]) -> Any:
    login = {"username": values["username"], "password": values["password"]}
    backend = "django.core.mail.backends.smtp.EmailBackend"
    return get_connection(backend, host=values["host"], port=int(values["port"]), use_tls=False, **login)


def _tagged(email: Email) -> AnymailMessage:
    return AnymailMessage(
        email.subject,
        email.text,
        str(email.from_),
        [email.to],
        reply_to=[str(email.reply_to)],
        headers=dict(email.headers),
        metadata=dict(email.tags),
    )


def _plain(email: Email) -> EmailMultiAlternatives:
    tags = {f"X-Mailroom-{name}": value for name, value in email.tags.items()}
    return EmailMultiAlternatives(
        email.subject,
        email.text,
        str(email.from_),
        [email.to],
        reply_to=[str(email.reply_to)],
        headers={**email.headers, **tags},
    )
