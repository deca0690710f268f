"""A Django project with allauth and our adapter, driven as a browser does; arguments are URL, mode and addresses."""

import json
import os
import sys
from typing import Any

import django
from django.conf import settings

from tests.clients.tools import blocks

mode, ada, ada_new, bob = sys.argv[1:]
BY_CODE = mode == "code"
documented: dict[str, Any] = {}  # the settings of docs/integrations/django.md
(_, code), *examples = blocks("integrations/django")
exec(code.replace("myproject.", "clients.python."), {"os": os}, documented)  # noqa: S102 - it is ours
settings.configure(
    SECRET_KEY="a-secret-for-tests-0123456789-0123456789-0123456789",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # the default takes half a second on purpose
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
        }
    ],
    ROOT_URLCONF="tests.clients.django_urls",
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    LANGUAGE_CODE="en",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    ACCOUNT_LOGIN_METHODS={"email"},
    ACCOUNT_SIGNUP_FIELDS=["email*", "password1*"],
    ACCOUNT_EMAIL_VERIFICATION="mandatory",
    ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED=BY_CODE,
    ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED=BY_CODE,
    ACCOUNT_LOGIN_BY_CODE_ENABLED=True,
    ACCOUNT_EMAIL_NOTIFICATIONS=True,
    ACCOUNT_CHANGE_EMAIL=True,
    ACCOUNT_RATE_LIMITS=False,
    **documented,
)
django.setup()

from django.core.management import call_command  # noqa: E402 - the settings come first
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402

from tests.clients.inbox import Inbox  # noqa: E402

call_command("migrate", verbosity=0)
inbox = Inbox(os.environ["MAILROOM_URL"])


def browser() -> Client:
    return Client(headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"})


def post(client: Client, path: str, **fields: str) -> None:
    response = client.post(path, fields)
    assert response.status_code == 302, (path, response.status_code, response.content.decode()[-2000:])


def email_of(client: Client) -> str:
    return str(client.get("/whoami/").content, "utf-8")


results: dict[str, Any] = {}
client = browser()
post(client, "/accounts/signup/", email=ada, password1="Quartz-Lamp-71")
if BY_CODE:
    post(client, "/accounts/confirm-email/", code=inbox.code(ada, "email-confirmation"))
else:
    post(client, inbox.link(ada, "email-confirmation").partition("testserver")[2])
    post(client, "/accounts/login/", login=ada, password="Quartz-Lamp-71")
results["signed up"] = email_of(client)

client = browser()
post(client, "/accounts/login/code/", email=ada)
post(client, "/accounts/login/code/confirm/", code=inbox.code(ada, "sign-in-code"))
results["by code"] = email_of(client)

new = dict.fromkeys(("password1", "password2"), "Second-Lamp-72")
post(client, "/accounts/password/change/", oldpassword="Quartz-Lamp-71", **new)
results["notice"] = inbox.mail(ada, "security-notice")["subject"]

client = browser()
post(client, "/accounts/password/reset/", email=ada)
if BY_CODE:
    post(client, reverse("account_confirm_password_reset_code"), code=inbox.code(ada, "password-reset"))
    post(client, reverse("account_complete_password_reset"), password1="Third-Lamp-73", password2="Third-Lamp-73")
else:
    page = client.get(inbox.link(ada, "password-reset").partition("testserver")[2])
    post(client, page["location"], password1="Third-Lamp-73", password2="Third-Lamp-73")
client = browser()
post(client, "/accounts/login/", login=ada, password="Third-Lamp-73")
results["reset"] = email_of(client)

post(client, "/accounts/email/", email=ada_new, action_add="")
if BY_CODE:
    post(client, "/accounts/confirm-email/", code=inbox.code(ada_new, "email-confirmation"))
else:
    post(client, inbox.link(ada_new, "email-confirmation").partition("testserver")[2])
results["changed"] = email_of(client)

post(browser(), "/accounts/password/reset/", email=bob)  # an address without an account
results["rendered"] = inbox.mail(bob, "rendered")["subject"]
for _, code in examples:
    exec(code.replace("myproject.", "clients.python.").replace("reader@example.com", bob), {})  # noqa: S102 - it is ours
results["examples"] = [inbox.mail(bob, "rendered")["subject"], inbox.mail(bob, "sign-in-code")["locale"]]
print(json.dumps(results))
