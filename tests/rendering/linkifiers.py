"""Link detectors that others wrote: stand-ins for the mail clients, most of whose rules nobody publishes."""

from collections.abc import Iterator
from html import escape, unescape
from warnings import catch_warnings, simplefilter
from xml.etree.ElementTree import Element

import html5lib
from bleach.linkifier import TLDS, Linker, build_email_re, build_url_re  # type: ignore[import-untyped]
from django.conf import settings
from django.utils.html import urlize as django_urlize
from jinja2.utils import urlize as jinja_urlize
from linkify_it import LinkifyIt  # type: ignore[import-untyped]

from mailroom.model.email import Email

settings.configure()  # Django 6 reads one of them, and no other test has a project in this process

# bleach's list ends in 2013; these are some of what came since, and some that are not ASCII.
NEWER_TLDS = [
    "app",
    "dev",
    "shop",
    "top",
    "xyz",
    "zip",
    "example",
    "рф",
    "中国",
    "网站",
    "भारत",
    "بھارت",
    "ไทย",
    "한국",
]
ALL_TLDS = [*TLDS, *NEWER_TLDS]
SCHEMES = ["http", "https", "ftp", "mailto", "tel", "sms", "skype", "whatsapp", "javascript", "data", "file"]

_LINKIFY_IT = LinkifyIt(options={"fuzzy_link": True, "fuzzy_email": True, "fuzzy_ip": True}).tlds(ALL_TLDS, True)
for _scheme in ("tel:", "sms:", "skype:", "file:"):
    _LINKIFY_IT.add(_scheme, "http:")
_BLEACH = Linker(
    callbacks=[lambda attributes, _is_new: attributes],
    url_re=build_url_re(tlds=ALL_TLDS, protocols=SCHEMES),
    email_re=build_email_re(tlds=ALL_TLDS),
    parse_email=True,
)


def links_in(text: str) -> list[str]:
    """Return what any of the detectors would turn into a link, with the detector's name in front."""
    return [
        *(f"linkify-it: {match.raw}" for match in _LINKIFY_IT.match(text) or []),
        *(f"bleach: {link}" for link in _anchors(_BLEACH.linkify(escape(text)))),
        *(f"django: {link}" for link in _anchors(_django(escape(text)))),
        *(f"jinja: {link}" for link in _anchors(jinja_urlize(text, extra_schemes=["mailto:", "ftp:", "tel:"]))),
    ]


def _django(text: str) -> str:
    with catch_warnings():
        simplefilter("ignore")  # Django 6 announces that it will link to https instead of http
        return str(django_urlize(text))


def links_in_mail(email: Email) -> list[str]:
    """Return what the detectors would turn into a link in a mail's subject, text, and HTML outside of its links."""
    tree = html5lib.parse(email.html, namespaceHTMLElements=False)
    parts = [email.subject, email.text, *_text_outside_links(tree[1])]
    return [link for part in parts for link in links_in(part)]


def _anchors(html: str) -> list[str]:
    if "<a" not in html:
        return []
    tree = html5lib.parseFragment(html, namespaceHTMLElements=False)
    return [unescape("".join(anchor.itertext())) for anchor in tree.iter("a")]


def _text_outside_links(element: Element) -> Iterator[str]:
    if element.tag == "a":
        return
    if element.text:
        yield element.text
    for child in element:
        yield from _text_outside_links(child)
        if child.tail:
            yield child.tail
