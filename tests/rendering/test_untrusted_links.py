"""A link in a mail is a web address, and its host is the one that a browser connects to."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailroom import untrusted
from mailroom.model.kinds import KINDS
from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Renderer
from tests.factories import message
from tests.rendering import whatwg

RENDERER = Renderer(Path(__file__).parents[2] / "layers" / "templates")
SENDER = Sender(Mailbox("no-reply@example.com"))


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example.com",
        "/login",
        "https:",
        "https://",
        "http:///x",
        "https://user:pass@example.com",
        "https://bank.com@evil.example.com/",
        "https://example.com/\r\nBcc: x",
        "https://example.com/ x",
        'https://example.com/"><b>',
        "https://example.com/<script>",
        "https://example.com/\u202e",
        "https://exa\u200bmple.com",
        "https://[::1",
        "https://[::1]x/",
        "https://[::1]ü/",
        "https://evil.com＼.good.com/",
        "https://evil.com＂.good.com/",
        "https://evil.com＜.good.com/",
        "https://evil.com％2f.good.com/",
        "https://evil.com％23@good.com/",
        "https://bank.com@bücher.example/",
        "https://ex%61mple.com/",
        "https://evil.com|good.com/",
        "https://evil.com^good.com/",
        "https://evil..com/",
        "https://bücher..com/",
        "https://-evil.com/",
        "https://" + "a." * 130 + "com/",
        "https://💩.la/",
        "https://ab\u200dcd.com/",
        "https://b\u00fccher.com:８０/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "x" * 5000,
        "https://example.com/" + "x" * 5000,
        "",
        " ",
        None,
        7,
        ["https://example.com"],
        {"url": "x"},
    ],
    ids=repr,
)
def test_only_a_web_address_becomes_a_link(link):
    for kind in KINDS:
        email = RENDERER.render(
            message(kind=kind, data={"link": link, "button": {"url": link, "text": "x"}}), SENDER, {}
        )
        assert "href" not in email.html, kind


@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("https://example.com/a?b=c&d=%2F#e", "https://example.com/a?b=c&d=%2F#e"),
        ("http://localhost:3000/x", "http://localhost:3000/x"),
        ("https://example.com/ä?ö=ü", "https://example.com/%C3%A4?%C3%B6=%C3%BC"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://bücher.example:8443/ä", "https://xn--bcher-kva.example:8443/%C3%A4"),
        ("https://faß.de/reset?token=1", "https://xn--fa-hia.de/reset?token=1"),
        ("https://σας.gr/", "https://xn--mxa8ab.gr/"),
        ("https://BÜCHER。example/", "https://xn--bcher-kva.example/"),
        ("https://ｅｘａｍｐｌｅ.com/", "https://example.com/"),
        ("https://аpple.example/", "https://xn--pple-43d.example/"),
        ("https://my_app.example.com./", "https://my_app.example.com./"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
    ],
)
def test_a_link_is_sent_as_it_came_with_its_host_in_ascii(link, sent):
    email = RENDERER.render(message(kind="password-reset", data={"link": link}), SENDER, {})
    assert sent in email.text
    assert email.html.count(sent.replace("&", "&amp;")) == 3


PIECES = [*"a.。．ßςü＼\\／/@＠:：％＃?[]", "evil", "good", "80", "%2e"]
hosts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)


@pytest.mark.thorough
@settings(max_examples=10, deadline=None)
@given(links=st.lists(hosts.map(lambda host: f"https://{host}/x"), min_size=100, max_size=100))
def test_a_browser_connects_to_the_same_host_as_with_the_original(links):
    sent = {link: untrusted.link(link) for link in links if untrusted.link(link)}
    assert whatwg.hosts(list(sent)) == whatwg.hosts(list(sent.values()))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/l.png",
        "javascript:alert(1)",
        "data:image/svg+xml,<svg/>",
        "//example.com/l.png",
        'https://example.com/"onerror="x',
        "",
        None,
        7,
    ],
)
def test_only_an_encrypted_logo_is_shown(url):
    for hints, brand in (({"name": "Acme", "logo_url": url, "dark_logo_url": url}, {}), ({}, {"logo_url": url})):
        assert (
            "<img"
            not in RENDERER.render(message(kind="sign-in-code", data={"code": "1"}, brand=hints), SENDER, brand).html
        )
