"""Logos, loaded over TLS from a server of the test: reachable, of a shown format, large enough, visible on dark."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from mailroom.model.stored_files import pack
from mailroom_ops.doctor import Context, logos
from mailroom_ops.domains.dns import Dns
from mailroom_ops.environment import Environment
from mailroom_ops.finding import Finding
from tests.pictures import JPEG, Publish, base64, png

BLACK, WHITE, GREEN = b"\x00\x00\x00\xff", b"\xff\xff\xff\xff", b"\x0f\xb0\x6e\xff"


def findings(parameters: Mapping[str, str] = {}, **brands: dict[str, Any]) -> list[Finding]:
    values = {**{f"brands/{name}": json.dumps(brand) for name, brand in brands.items()}, **parameters}

    class Stored(Context):
        @property
        def values(self) -> dict[str, str]:
            return values

    return list(logos.check(Stored(Environment("staging"), Dns([]))))


@pytest.mark.parametrize(
    ("name", "content", "level", "state"),
    [
        ("good.png", png(200, 108, GREEN), "ok", "is a PNG, 200 × 108 pixels"),
        ("filtered.png", png(200, 108, BLACK, filter_kind=1), "warning", "is dark on a transparent ground"),
        ("photo.jpg", JPEG, "ok", "is a JPEG, 320 × 120 pixels"),
        ("animated.gif", b"GIF89a" + struct.pack("<HH", 300, 120) + bytes(20), "ok", "is a GIF, 300 × 120 pixels"),
        ("dark.png", png(200, 108, BLACK), "warning", "is dark on a transparent ground"),
        ("light.png", png(200, 108, WHITE), "warning", "is light on a transparent ground"),
        ("wide.png", png(1600, 80, GREEN), "warning", "is very wide: PNG, 1600 × 80 pixels"),
        ("small.png", png(60, 36, GREEN), "warning", "is small, and looks blurred"),
        ("heavy.jpg", JPEG + bytes(100_000), "warning", "is large: JPEG"),
        ("logo", b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "failed", "is a SVG: Gmail"),
        ("logo.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "failed", "is a WebP: Outlook for Windows shows none"),
        ("page.html", b"<!doctype html><title>Not found</title>", "failed", "is no picture"),
        ("broken.png", png(200, 108, BLACK)[:60], "ok", "is a PNG"),
    ],
)
def test_a_logo_is_judged_as_mail_clients_show_it(
    publish: Publish, name: str, content: bytes, level: str, state: str
) -> None:
    (finding,) = findings(acme={"logo_url": publish(name, content)})
    assert (finding.level, finding.subject) == (level, "brands/acme logo_url")
    assert state in finding.state


def test_a_logo_for_dark_mode_has_light_ink(publish: Publish) -> None:
    dark, light = publish("dark.png", png(200, 108, BLACK)), publish("light.png", png(200, 108, WHITE))
    assert [f.level for f in findings(acme={"dark_logo_url": light})] == ["ok"]
    assert "Use a light one for dark mode." in findings(acme={"dark_logo_url": dark})[0].todo
    day, night = findings(acme={"logo_url": dark, "dark_logo_url": light})
    assert "do not show the dark logo" in day.todo
    assert night.level == "ok"


def test_a_logo_that_is_not_there_is_a_failure(publish: Publish) -> None:
    url = publish("good.png", JPEG)
    assert "answers with 404" in findings(acme={"logo_url": f"{url}.old"})[0].state
    for address in (url.replace("localhost", "127.0.0.1"), "https://localhost:9/logo.png", "https://[/"):
        (finding,) = findings(acme={"logo_url": address})
        assert (finding.level, "cannot be reached" in finding.state) == ("failed", True)


def test_a_logo_of_several_tenants_is_loaded_once(publish: Publish) -> None:
    url = publish("shared.jpg", JPEG)
    assert len(findings(acme={"logo_url": url}, globex={"logo_url": url}, hooli={})) == 1
    assert findings(acme={})[0].state == "no brand has one"


def test_logos_inside_mails_are_judged_with_the_providers_that_cannot_send_them() -> None:
    brand = {"inline_logo": True, "stored_templates": True}
    files = {"logo.png": base64(png(60, 36, GREEN)), "logo-dark.png": base64(png(200, 108, WHITE))}
    senders = {"senders/acme/auth": '{"providers": ["ses", "aliyun"]}'}
    small, good, aliyun = findings(acme=brand, parameters={"templates/acme": pack(files), **senders})[1:]

    assert (small.level, small.subject) == ("warning", "acme logo.png")
    assert "is small, and looks blurred" in small.state
    assert (good.level, good.subject) == ("ok", "acme logo-dark.png")
    assert (aliyun.level, aliyun.todo) == ("warning", "Set logo_url as well.")
    assert aliyun.state == "aliyun sends no pictures inside mails: its mails have none"


def test_a_brand_without_a_stored_logo_is_named_with_the_command_that_stores_it() -> None:
    _, missing = findings(acme={"inline_logo": True})

    assert (missing.level, missing.subject) == ("warning", "brands/acme inline_logo")
    assert missing.todo == "Store it: mailroom templates logos --tenant acme --env staging"
