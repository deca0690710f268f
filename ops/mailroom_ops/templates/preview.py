"""Previews of mails: every kind in every language, brand and color scheme, from the templates on disk."""

import html
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

from mailroom.model.email import Email
from mailroom.model.kinds import KINDS
from mailroom.model.message import Message
from mailroom.model.parameter_names import DEFAULT_TENANT
from mailroom.rendering.renderer import Rendered, Renderer
from mailroom.rendering.tenant_templates import TenantTemplates, read_files
from mailroom_ops.templates import chromium
from mailroom_ops.templates.tenant_samples import PLACEHOLDER_SENDER as SENDER
from mailroom_ops.templates.tenant_samples import TenantSample

__all__ = [
    "BRANDS",
    "FORMS",
    "SCREENSHOT_COUNT",
    "SENDER",
    "Gallery",
    "block_images",
    "force_color_scheme",
    "sample",
    "sample_brand",
    "shown_html",
    "take_screenshots",
    "write_contact_sheet",
]

TEMPLATES = Path(__file__).parents[3] / "layers" / "templates"
LINK = "https://app.example.com/callback?token=7f3c9a51d2&next=%2Fhome"
BRANDS: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "acme": {
        "name": "Acme",
        "color": "#0b7a5c",
        "company": "Acme GmbH\nHauptstraße 1, 10115 Berlin",
        "support_email": "support@example.com",
        "account_url": "https://app.example.com/account",
        "request_context": "true",
    },
    "bright": {
        "name": "Sunny Side",
        "color": "#ffd60a",
        "company": "Sunny Side Ltd\n1 High Street, London",
        "support_url": "https://example.com/help",
    },
}
FORMS: Mapping[str, Mapping[str, str]] = {
    "code": {"code": "048291"},
    "link": {"link": LINK},
    "both": {"code": "048291", "link": LINK},
    "neither": {},
}
USUAL_FORM = {"email-confirmation": "link", "organization-invitation": "link", "password-reset": "both"}
ENGLISH: Mapping[str, Any] = {
    "app": "Acme",
    "organization": "Söhne & Töchter GmbH",
    "inviter": "Zoë Weiß",
    "title": "Your booking is confirmed",
    "paragraphs": [
        "Thank you, Zoë. We look forward to your visit.",
        "You can change your booking until the day before.",
    ],
    "button": "View booking",
    "facts": [["Arrival", "1 May 2026"], ["Nights", "3"], ["Guests", "2"], ["Total", "€342.00"]],
    "place": "Berlin, Germany",
}
SCREENSHOT_LOCALES = ("en", "de", "ar", "ja")
WIDTHS = (360, 700)
REMOTE_IMAGE = re.compile(r'(<img\b[^>]*?) src="https:[^"]*"')
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SCREENSHOT_COUNT = len(KINDS) * len(SCREENSHOT_LOCALES) * len(WIDTHS) * len(SCHEMES)


@dataclass(frozen=True, slots=True)
class Gallery:
    """Renders sample mails; without a renderer, each call reads the templates from disk, so that an edit is visible."""

    templates: Path = TEMPLATES
    renderer: Renderer | None = None

    def options(self) -> dict[str, list[str]]:
        """Return the available kinds, languages, brands and forms."""
        locales = _english_first(Renderer(self.templates).locales)
        return {"kinds": list(KINDS), "locales": locales, "brands": list(BRANDS), "forms": list(FORMS)}

    def tenant_options(self, tenant: TenantSample) -> dict[str, list[str]]:
        """Return the kinds and languages of a tenant: the built-in ones, and those of its own templates and texts."""
        own = TenantTemplates.of({**read_files(self.templates / "tenants" / tenant.name), **tenant.files})
        options = self.options()
        locales = {tag for kind in own.kinds for tag in own.locales(kind)}
        return {
            "kinds": [*options["kinds"], *sorted(own.kinds - set(options["kinds"]))],
            "locales": _english_first({*options["locales"], *locales}),
        }

    def mail(
        self, kind: str, locale: str = "en", brand: str = "acme", form: str = "", event: str = "new-sign-in"
    ) -> Rendered:
        """Return one sample mail; KeyError if the brand or the form does not exist."""
        renderer = self.renderer or Renderer(self.templates)
        return renderer.compose(sample(kind, locale, form, event), SENDER, sample_brand(brand, locale))

    def tenant_mail(
        self, tenant: TenantSample, kind: str, locale: str = "en", form: str = "", event: str = "new-sign-in"
    ) -> Rendered:
        """Return one sample mail of a tenant, with its sender, brand, templates and texts."""
        renderer = self.renderer or Renderer(self.templates)
        message = sample(kind, locale, form, event, tenant)
        return renderer.compose(message, tenant.sender(message.purpose), tenant.brand, tenant.files)

    def write(self, folder: Path, brand: str | TenantSample = "acme") -> int:
        """Write every kind in every language as files, with a page to browse them; return the number of mails."""
        folder.mkdir(parents=True, exist_ok=True)
        options, rows = self.options() if isinstance(brand, str) else self.tenant_options(brand), []
        for kind in options["kinds"]:
            for locale in options["locales"]:
                email = self.branded_mail(brand, kind, locale).email
                stem = f"{kind}.{locale}"
                for scheme in SCHEMES:
                    mail = force_color_scheme(shown_html(email), scheme)
                    (folder / f"{stem}.{scheme}.html").write_text(mail, "utf-8")
                (folder / f"{stem}.txt").write_text(f"Subject: {email.subject}\n\n{email.text}", "utf-8")
                rows.append(
                    {"kind": kind, "locale": locale, "subject": email.subject, "bytes": len(email.html.encode())}
                )
        page = (Path(__file__).with_name("preview.html")).read_text("utf-8")
        data = json.dumps(rows, ensure_ascii=False).replace("<", "\\u003c")
        (folder / "index.html").write_text(page.replace("[/* the mails */]", data), "utf-8")
        return len(rows)

    def branded_mail(self, brand: str | TenantSample, kind: str, locale: str) -> Rendered:
        """Return one sample mail of a sample brand, or of a tenant."""
        return self.mail(kind, locale, brand) if isinstance(brand, str) else self.tenant_mail(brand, kind, locale)


def _english_first(tags: Iterable[str]) -> list[str]:
    return sorted(tags, key=lambda tag: (tag != "en", tag))


def sample_texts(locale: str) -> Mapping[str, Any]:
    """Return the names and texts of the samples in a language, completed in English."""
    return {**ENGLISH, **tomllib.loads(Path(__file__).with_name("preview.toml").read_text("utf-8")).get(locale, {})}


def sample_brand(brand: str, locale: str = "en") -> Mapping[str, str]:
    """Return a brand's settings with its name in a language; KeyError if it does not exist."""
    texts = sample_texts(locale)
    local = {"name": texts["app"], "company": texts["company"]} if "company" in texts and brand != "plain" else {}
    return {**BRANDS[brand], **local}


def sample(
    kind: str,
    locale: str = "en",
    form: str = "",
    event: str = "new-sign-in",
    tenant: TenantSample | None = None,
) -> Message:
    """Return a message of a kind, as a source would create it; of a tenant it is about an application of its name."""
    texts = sample_texts(locale)
    notice = {key: texts[key] for key in ("title", "paragraphs", "facts")}
    button = {"text": texts["button"], "url": "https://app.example.com/bookings/8131"}
    contents: Mapping[str, Mapping[str, Any]] = {
        "security-notice": {"event": event},
        "notification": {**notice, "button": button},
    }
    content = contents.get(kind, {})
    names = {
        "application": {"displayName": tenant.app if tenant else texts["app"]},
        "organization": {"name": texts["organization"]},
        "inviter": {"name": texts["inviter"]},
        "request": {"place": texts["place"], "device": "Firefox, Linux", "ip": "203.0.113.9"},
    }
    usual = "neither" if content or kind not in KINDS else USUAL_FORM.get(kind, "code")
    data = {**names, **content, **FORMS[form or usual]}
    now = 1_767_225_600.0
    owner = tenant.name if tenant else DEFAULT_TENANT
    return Message("0123456789abcdef" * 2, owner, kind, "ada@example.com", data, now, now + 600, "preview", (locale,))


def force_color_scheme(mail: str, scheme: str) -> str:
    """Return the HTML of a mail fixed to the light or dark scheme, independent of the screen that shows it."""
    condition = "(min-width: 0)" if scheme == "dark" else "(max-width: 0)"
    forced = mail.replace("(prefers-color-scheme: dark)", condition)
    return forced.replace("color-scheme: light dark", f"color-scheme: {scheme}").replace(
        'content="light dark"', f'content="{scheme}"'
    )


def shown_html(email: Email) -> str:
    """Return the HTML of a mail with the pictures that are inside it, as a page of its own."""
    html = email.html
    for image in email.images:
        html = html.replace(f"cid:{image.cid}", f"data:{image.type};base64,{image.content}")
    return html


def block_images(mail: str) -> str:
    """Return the HTML of a mail as clients show it that load no images from the web: their texts stand in for them."""
    return REMOTE_IMAGE.sub(r"\1", mail)


def take_screenshots(folder: Path, gallery: Gallery, brand: str | TenantSample) -> Iterator[Path]:
    """Take a screenshot of each kind in four languages, narrow and wide, light and dark, in a real browser."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium.launch() as browser:
        variants: Iterator[tuple[int, Scheme]] = product(WIDTHS, SCHEMES)
        for width, scheme in variants:
            page = browser.new_page(viewport={"width": width, "height": 400}, color_scheme=scheme, offline=True)
            for kind, locale in product(KINDS, SCREENSHOT_LOCALES):
                page.set_content(shown_html(gallery.branded_mail(brand, kind, locale).email), wait_until="load")
                path = folder / f"{kind}.{locale}.{width}.{scheme}.png"
                page.screenshot(path=path, full_page=True)
                yield path
            page.close()


def write_contact_sheet(path: Path, gallery: Gallery) -> None:
    """Write a small picture of several mails side by side, for the documentation."""
    samples = [
        ("sign-in-code", "en", "acme", "light"),
        ("password-reset", "de", "acme", "dark"),
        ("organization-invitation", "ar", "bright", "light"),
        ("notification", "ja", "acme", "light"),
        ("mfa-code", "ja", "bright", "dark"),
        ("security-notice", "en", "acme", "dark"),
    ]
    mails = [
        force_color_scheme(gallery.mail(kind, locale, brand).email.html, scheme)
        for kind, locale, brand, scheme in samples
    ]
    cards = "".join(f'<iframe srcdoc="{html.escape(mail)}"></iframe>' for mail in mails)
    style = "body{margin:0;display:grid;grid-template-columns:repeat(3,400px);gap:16px;padding:16px;background:#c9ced8}"
    with chromium.launch() as browser:
        page = browser.new_page(viewport={"width": 1264, "height": 1400}, offline=True)
        page.set_content(f"<style>{style}iframe{{border:0;width:400px;height:660px;border-radius:8px}}</style>{cards}")
        page.screenshot(path=path, type="jpeg", quality=70, full_page=True)
