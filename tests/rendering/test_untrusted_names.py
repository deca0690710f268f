"""A stranger's name, and a value that a caller passes on, is never a link, nor longer than a name, nor the sender."""

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import idna
import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailroom import untrusted
from mailroom.model.email import Email
from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Renderer
from mailroom.request import Request
from mailroom.sources import logto
from mailroom.sources.source import VerifiedRequest
from tests.factories import message
from tests.rendering import whatwg
from tests.rendering.linkifiers import links_in, links_in_mail

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
SENDER = Sender(Mailbox("no-reply@example.com", "Acme"))
INVISIBLE = str.maketrans("", "", "\u2060\u200c\u2068\u2069")
LABEL_SEPARATORS = re.compile("[.\u3002]")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:[/\\]|[/\\]{2}", re.IGNORECASE)
HOSTILE = {
    "a scheme that hides a scheme": "Win http:/data:/93.184.216.34/win",
    "a scheme that hides a scheme and a host": "http:/data:/evil.com/x",
    "a scheme in a scheme": "hthttp://tp://evil.com",
    "a combining mark before the dot": "cafe\u0301.com",
    "a combining mark that strikes out": "evil\u0338.com",
    "an emoji before the dot": "💩.la",
    "an emoji with a variation selector": "❤\ufe0f.ws",
    "a joiner before the dot": "evil\u200d.com",
    "a non-joiner after the dot": "evil.\u200ccom",
    "joiners all over": "h\u200dt\u200ctp:\u200d/\u200c/\u200devil\u200c.\u200dcom",
    "an Indic vowel sign": "स्त्री.भारत",
    "a scheme after an ideograph": "点http://93.184.216.34/win",
    "a scheme after an underscore": "_http://93.184.216.34/win",
    "a scheme after ideographs": "请看https://evil.example/x",
    "a scheme after a digit": "1http://evil.example/x",
    "an IP address": "93.184.216.34",
    "an IP address as one number": "http://1572395042/",
    "an IP address in IPv6": "http://[2606:2800:220:1:248:1893:25c8:1946]/",
    "a bare domain": "evil.com",
    "a bare domain with a path": "evil.com/win?now=1#x",
    "many labels": "www.a.b.evil.co.uk",
    "www": "www.evil.example",
    "no scheme": "//evil.com",
    "backslashes": "\\\\evil.com\\share",
    "a scheme and backslashes": "http:\\\\evil.com",
    "many slashes": "http://////evil.com",
    "one slash": "https:/evil.com",
    "no slash": "https:evil.com",
    "an address": "win@evil.com",
    "an address with a scheme": "mailto:win@evil.com",
    "a user name in a link": "https://bank.com@evil.com/",
    "a full-width at-sign": "win＠evil.com",
    "a telephone link": "tel:+49900123456",
    "punycode": "xn--e1awd7f.xn--p1ai",
    "another script": "пример.рф",
    "an ideographic full stop": "evil。com",
    "a half-width ideographic full stop": "evil｡com",
    "a full-width full stop": "evil．com",
    "a one dot leader": "evil\u2024com",
    "a small full stop": "evil﹒com",
    "a vertical full stop": "evil\ufe12com",
    "digits with a full stop": "⒈⒉⒊⒋",
    "all full-width": "ｈｔｔｐ：／／ｅｖｉｌ．ｃｏｍ／",
    "a small colon": "http﹕//evil.com",
    "a vertical colon": "http︓//evil.com",
    "zero-width spaces": "ht\u200btp:\u200b/\u200b/evil\u200b.\u200bcom",
    "a word joiner": "evil\u2060.\u2060com",
    "a soft hyphen": "evil\u00ad.\u00adcom",
    "a grapheme joiner": "http:\u034f//evil\u034f.\u034fcom",
    "a variation selector after the dot": "evil.\ufe0fcom",
    "a combining mark after the dot": "evil.\u0301com",
    "bidi controls": "\u202eevil\u202c.\u2066com\u2069 moc.live//:ptth",
    "a byte order mark": "http:\ufeff//evil.com",
    "a tab and a line feed": "http:\t//evil\n.com http:/\r/evil.com",
    "controls": "http:\x00//evil\x00.com",
    "quotes around it": '"evil.com" <http://evil.com>',
    "dots in a row": "evil..com evil...com evil…com",
}
READABLE = [
    "Dr. Ada Lovelace",
    "St. John's Café No. 5",
    "АО «Ромашка»",
    "株式会社。例",
    "J.R.R. Tolkien",
    "Acme Inc.",
    "Yahoo! / AC/DC",
    "Acme.io",
    "می‌خواهم 👩‍👩‍👧 Ümläut",
    "שלום עולם",
    "Open 9:30",
    "Rock'n'Roll @ Home: 24/7",
]


def render(kind: str, locale: str = "en", overrides: dict[str, str] | None = None, **data: Any) -> Email:
    return RENDERER.render(message(kind=kind, data=data, locales=(locale,)), SENDER, {}, overrides)


def invitation(name: str) -> Email:
    return render("organization-invitation", inviter={"name": name}, organization={"name": name})


def code_mail(name: str) -> Email:
    return render("sign-in-code", code="048291", application={"name": name})


def notification(text: str) -> Email:
    button = {"text": text, "url": "https://app.example.org/orders/7"}
    return render("notification", title=text, paragraphs=[text, text], facts=[[text, text]], button=button)


def security_notice(text: str) -> Email:
    return render("security-notice", paragraphs=text, facts={"Browser": text})


def tenant_texts(text: str) -> Email:
    overrides = {"texts.toml": '[sign-in-code]\nsubject = "{payload.user.name}{payload.user.name}"'}
    return render("sign-in-code", overrides=overrides, code="048291", user={"name": text})


@pytest.mark.parametrize("mail", [invitation, code_mail, notification, security_notice, tenant_texts])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_link_detector_finds_a_link(text: str, mail: Callable[[str], Email]) -> None:
    email = mail(text)

    assert [link for link in links_in_mail(email) if "app.example.org/orders/7" not in link] == []
    assert not SCHEME.search(unicodedata.normalize("NFKC", email.subject))


@pytest.mark.parametrize(("email", "links"), [("ada@example.org", 4), ("evil.com", 0), ("https://evil.com/a@b.com", 0)])
def test_a_field_for_an_address_shows_an_address_as_it_is_and_nothing_else(email: str, links: int) -> None:
    overrides = {"texts.toml": '[sign-in-code]\nsubject = "{payload.user.primaryEmail}"'}
    subject = render("sign-in-code", overrides=overrides, code="048291", user={"primaryEmail": email}).subject

    assert len(links_in(subject)) == links


def test_no_browser_connects_to_any_part_of_a_name() -> None:
    urls = []
    for text in HOSTILE.values():
        for word in untrusted.name(text).split():
            parts = [word[start:] for start in range(len(word)) if "." in unicodedata.normalize("NFKC", word[start:])]
            urls += [*parts, *(f"http://{part}" for part in parts), *(f"http:{part}" for part in parts)]

    connected = {url: host for url, host in zip(urls, whatwg.hosts(urls), strict=True) if host and "." in host}

    assert len(urls) > 500
    assert connected == {}


SCHEMES = ["http", "https", "ftp", "mailto", "HTTP", "javascript", "tel", "ｈｔｔｐ", ""]
COLONS = [":", "：", "﹕", "︓", ":\u034f", ":\u200d", "::"]
SLASHES = ["", "/", "//", "\\", "\\\\", "／／", "/\u034f/", "/\u200d/", "///", "\u200b//", "/\\"]
DOTS = [".", "。", "．", "｡", "\u2024", "﹒", "\ufe12", "..", ".\u0301", ".\ufe0f", ".\u200d", "\u200c.", "@", "＠"]
LABELS = [
    "evil",
    "www",
    "e\u0301",
    "\u0338",
    "💩",
    "xn--ls8h",
    "स्त्री",
    "例え",
    "1",
    "93",
    "٣",
    "_",
    "-",
    "ﷺ",
    "ab\u200dc",
    "рф",
]
ENDINGS = ["com", "la", "co.uk", "भारत", "中国", "xn--p1ai", "zip", "34", "com/win", "com:80", "com?x=1", "ｃｏｍ"]
NOISE = [
    "",
    "",
    "",
    " ",
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\u00ad",
    "\u034f",
    "\n",
    "点",
    "(",
]

pieces = st.sampled_from([*SCHEMES, *COLONS, *SLASHES, *DOTS, *LABELS, *ENDINGS, *NOISE])
anything = st.lists(pieces, max_size=14).map("".join)
links = st.tuples(
    *map(st.sampled_from, (NOISE, SCHEMES, COLONS, NOISE, SLASHES, NOISE, LABELS, NOISE, DOTS, NOISE, ENDINGS))
).map("".join)
hosts = st.tuples(*map(st.sampled_from, (NOISE, LABELS, DOTS, LABELS, NOISE, DOTS, NOISE, ENDINGS))).map("".join)
hostile = st.one_of(links, hosts, anything, st.lists(st.one_of(links, hosts), max_size=3).map("".join))


@settings(max_examples=200, deadline=None)
@given(text=hostile, locale=st.sampled_from(["en", "zh-CN", "ar"]))
def test_no_combination_of_hostile_pieces_becomes_a_link(text: str, locale: str) -> None:
    name = {"name": text}
    email = render("organization-invitation", locale, inviter=name, organization=name, application=name)

    assert links_in_mail(email) == []


@settings(max_examples=1000, deadline=None)
@given(text=hostile)
@example("a.\u200c.com")
def test_no_host_in_a_name_can_be_resolved(text: str) -> None:
    safe = untrusted.name(text)

    assert not SCHEME.search(unicodedata.normalize("NFKC", safe))
    for part in re.split(r"[\s/\\:@?#]", unicodedata.normalize("NFKC", safe)):
        if LABEL_SEPARATORS.search(part.strip(".\u3002")):
            with pytest.raises(idna.IDNAError):
                idna.encode(part, uts46=True)


@settings(max_examples=1000)
@given(text=st.one_of(hostile, st.text()))
def test_a_safe_name_does_not_change_when_it_is_made_safe_again(text: str) -> None:
    safe = untrusted.name(text)

    assert untrusted.name(safe) == safe
    assert untrusted.prose(untrusted.prose(text)) == untrusted.prose(text)


def test_every_character_that_normalizes_to_a_separator_is_handled() -> None:
    for char in map(chr, range(0x110000)):
        normal = unicodedata.normalize("NFKC", char)
        if normal[0] in ".\u3002@" or normal[-1] in ".\u3002@":
            assert untrusted.name(f"a{char}b") != f"a{char}b", hex(ord(char))
        if normal[0] in "/\\:" or normal[-1] in "/\\:":
            assert untrusted.name(f"a:{char}{char}b").translate({0x2060: "|"}).count("|") >= 2, hex(ord(char))


@pytest.mark.parametrize("name", READABLE)
def test_a_name_looks_as_it_was_given(name: str) -> None:
    email = render("organization-invitation", inviter=name, organization=name)

    for shown in (email.subject, email.text):
        assert name.translate(INVISIBLE) in shown.translate(INVISIBLE)
    assert f"Join {name}".translate(INVISIBLE) in email.html.translate(INVISIBLE).replace("&#x27;", "'")


@pytest.mark.parametrize("name", ["Dr. Ada Lovelace", "St. John's Café No. 5", "АО «Ромашка»", "می‌خواهم", "Acme Inc."])
def test_a_name_without_a_host_is_not_touched_at_all(name: str) -> None:
    assert untrusted.name(name) == name


@pytest.mark.parametrize("name", ["\u200b\u200c\u200d\u2060", "\u3164\u3164", "\u115f\u1160", "\u034f\ufe0f", "\u2800"])
def test_a_name_with_nothing_to_see_is_no_name(name: str) -> None:
    email = render("organization-invitation", inviter=name, organization="Acme")

    assert "You have been invited to join Acme." in email.text


def test_a_stated_link_stays_a_link_where_the_text_repeats_it() -> None:
    link, url = "https://app.example.org/reset?token=1", "https://app.example.org/orders/7"
    email = render(
        "notification",
        link=link,
        button={"text": "Open", "url": url},
        paragraphs=[f"Open {link}, or ({url}).", f"{link}.evil.com x{url} {url}@evil.com"],
        facts={"Order": url, "Elsewhere": "https://evil.com/orders/7"},
    )

    assert f"Open {link}, or ({url})." in email.text
    assert f"Order: {url}" in email.text
    assert [found for found in links_in_mail(email) if "evil" in found] == []


@pytest.mark.parametrize("value", [1234.5, 7, 0.25])
def test_a_number_among_the_facts_is_left_alone(value: float) -> None:
    assert f"Total: {value}\n" in render("notification", title="Receipt", facts={"Total": value}).text


ADVERTISEMENT = "Win 5000 EUR, call +49 900 123456 before midnight, it is free of charge"


@pytest.mark.parametrize("inviter", [ADVERTISEMENT, {"name": ADVERTISEMENT}, {"username": ADVERTISEMENT}])
def test_an_inviter_is_no_longer_than_a_name(inviter: Any) -> None:
    email = render("organization-invitation", inviter=inviter, organization="Acme")

    assert f"\n{ADVERTISEMENT[:39]}… has invited you to join Acme." in email.text
    assert ADVERTISEMENT[39:] not in email.text + email.html


def test_an_inviter_in_a_tenants_own_text_is_no_longer_either() -> None:
    overrides = {
        "texts.toml": '[organization-invitation]\nsubject = "{payload.inviter.name} and {payload.organization.name}"'
    }
    party = {"name": "A" * 100}
    email = render("organization-invitation", overrides=overrides, inviter=party, organization=party)

    assert email.subject == f"{'A' * 39}… and {'A' * 63}…"


CLUSTERS = [
    "a",
    "é",
    "e\u0301",
    "👩\u200d👩\u200d👧",
    "👍🏽",
    "🇩🇪",
    "🇫🇷",
    "❤\ufe0f",
    "क्षि",
    "ที่",
    "กำ",
    "1\ufe0f\u20e3",
    "한",
    "\u1112\u1161\u11ab",
    " ",
]


@settings(max_examples=500)
@given(text=st.lists(st.sampled_from(CLUSTERS), min_size=10, max_size=60).map("".join), limit=st.integers(12, 40))
def test_a_long_name_is_cut_between_two_characters(text: str, limit: int) -> None:
    text = " ".join(text.split())
    name = untrusted.name(text, limit)

    assert len(name) <= limit
    if name != text:
        graphemes = regex.findall(r"\X", text)
        starts = {"".join(graphemes[:count]).rstrip() for count in range(len(graphemes))}
        assert name.removesuffix("…") in starts
        assert len(name) > limit - 12


def logto_mail(type_: str, payload: dict[str, Any], sender: Sender, brand: dict[str, str]) -> Email:
    """Render what Logto posts for a tenant."""
    body = json.dumps({"to": "reader@example.com", "type": type_, "payload": payload}).encode()
    request = Request("POST", {}, {"content-type": "application/json"}, body, "203.0.113.7", 1_700_000_000.0)
    (message,) = logto.SOURCE.parse(VerifiedRequest(request, "logto", "default", {}, 600.0))
    return RENDERER.render(message, sender, brand)


IMPOSTOR = {
    "name": "PayPal Security",
    "branding": {"logoUrl": "https://evil.example/logo.png", "darkLogoUrl": "https://evil.example/dark.png"},
}
NAMELESS = Sender(Mailbox("login@bare.example"))


@pytest.mark.parametrize("type_", ["OrganizationInvitation", "SignIn", "Generic"])
def test_an_organization_never_names_the_sender(type_: str) -> None:
    email = logto_mail(type_, {"code": "048291", "organization": IMPOSTOR}, NAMELESS, {})

    assert email.from_ == Mailbox("login@bare.example")
    assert "This is an automatic email from bare.example." in email.text


def test_an_application_names_a_sender_that_has_no_name() -> None:
    payload = {"code": "048291", "application": {"name": "acme-web", "displayName": "Acme"}, "organization": IMPOSTOR}

    assert logto_mail("SignIn", payload, NAMELESS, {}).from_ == Mailbox("login@bare.example", "Acme")
    assert logto_mail("SignIn", payload, SENDER, {}).from_ == Mailbox("no-reply@example.com", "Acme")


@pytest.mark.parametrize("own", ["logo_url", "dark_logo_url"])
@pytest.mark.parametrize("party", ["organization", "application"])
def test_a_logo_of_the_source_never_replaces_the_tenants_own(party: str, own: str) -> None:
    brand = {own: "https://acme.example/logo.png"}
    email = logto_mail("OrganizationInvitation", {party: IMPOSTOR}, SENDER, brand)

    assert "evil.example" not in email.html
    assert ("https://acme.example/logo.png" in email.html) == (own == "logo_url")


def test_an_organizations_logo_is_shown_where_the_tenant_has_none() -> None:
    email = logto_mail("OrganizationInvitation", {"organization": IMPOSTOR}, SENDER, {"name": "Acme"})

    assert "https://evil.example/logo.png" in email.html


def test_the_detectors_find_links_where_there_are_some() -> None:
    for text in ("evil.com", "http://93.184.216.34/win", "win@evil.com", "www.evil.example", "//evil.com"):
        assert links_in(text)
    assert links_in_mail(render("sign-in-code", code="1", link="https://app.example.org/x")) != []
