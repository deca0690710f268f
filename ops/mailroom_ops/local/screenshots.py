"""Take the pictures of the README: the deliveries in front of the inbox, in light and dark.

usage: python -m mailroom_ops.local.screenshots FOLDER
"""

import base64
import http.client
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, ViewportSize

from mailroom_ops.local.logs import Logs
from mailroom_ops.local.stack import Options, Stack
from mailroom_ops.templates import chromium

INBOX: ViewportSize = {"width": 1180, "height": 720}
DELIVERIES: ViewportSize = {"width": 1040, "height": 438}
CANVAS: ViewportSize = {"width": 1400, "height": 1060}
SCALE = 1.5
WEBP_QUALITY = 0.85
TIMEOUT_SECONDS = 30.0
TOKENS = {"default": "Bearer local-logto-token", "acme": "Bearer local-acme-token"}
INVITATION = {
    "link": "https://app.example.com/invite?token=7f3c9a",
    "organization": {"id": "1", "name": "Northwind"},
    "inviter": {"id": "2", "name": "Zoë Weiß"},
}
# tenant, Logto's type, recipient, payload; the sandbox reports a bounce for bounced@ and a complaint for complained@
MAILS: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("default", "OrganizationInvitation", "complained@example.com", INVITATION | {"locale": "en"}),
    ("acme", "ForgotPassword", "noah@example.com", {"code": "731004", "locale": "fr"}),
    ("acme", "SignIn", "bounced@example.com", {"code": "560238", "locale": "en"}),
    ("default", "Register", "grace@example.com", {"code": "118273", "locale": "de"}),
    ("acme", "SignIn", "omar@example.com", {"code": "992817", "locale": "ar"}),
    ("default", "OrganizationInvitation", "complained@example.com", INVITATION | {"locale": "es"}),  # suppressed
    ("acme", "SignIn", "ada@example.com", {"code": "048291", "locale": "en"}),
)
COMPOSITION = """<!doctype html><style>
body { margin: 0; }
img { position: absolute; border-radius: 10px; border: 1px solid #8886; box-shadow: 0 10px 30px #0005; }
.inbox { top: 20px; left: 20px; width: 1180px; } .deliveries { bottom: 34px; right: 20px; width: 1040px; }
</style><img class="inbox" src="data:image/png;base64,%s"><img class="deliveries" src="data:image/png;base64,%s">"""
TO_WEBP = """async ([png, quality]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/webp", quality).split(",")[1];
}"""


def main(folder: Path) -> None:
    with Stack(Options(port=0, watch=False), Logs(out=None)) as stack, chromium.launch() as browser:
        for number, (tenant, type_, to, payload) in enumerate(MAILS, 1):
            post(stack.url, tenant, {"to": to, "type": type_, "payload": payload})
            wait_for_outcomes(browser, stack.url, number)
        for scheme in ("light", "dark"):
            picture = compose(browser, shoot(browser, stack.url, scheme))
            (folder / f"inbox-and-console-{scheme}.webp").write_bytes(picture)


def post(url: str, tenant: str, body: Mapping[str, Any]) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT_SECONDS)
    path = "/webhooks/logto" if tenant == "default" else f"/webhooks/logto/{tenant}"
    headers = {"content-type": "application/json", "authorization": TOKENS[tenant]}
    connection.request("POST", path, json.dumps(body), headers)
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise RuntimeError(f"{path} answered {status}")


def wait_for_outcomes(browser: Browser, url: str, number: int) -> None:
    """Wait until that many messages have their final status."""
    page = browser.new_page()
    page.goto(f"{url}/console/deliveries")
    final = page.locator("#messages .pill:is(.delivered, .bounced, .complained, .skipped)")
    end = time.monotonic() + TIMEOUT_SECONDS
    while final.count() < number:
        if time.monotonic() > end:
            raise TimeoutError(f"{final.count()} of {number} messages have their final status")
        page.wait_for_timeout(200)
    page.close()


def shoot(browser: Browser, url: str, scheme: Literal["light", "dark"]) -> list[bytes]:
    """Return screenshots of the inbox with its newest email, and of the deliveries."""
    context = browser.new_context(viewport=INBOX, color_scheme=scheme, device_scale_factor=SCALE)
    page = context.new_page()
    page.goto(url)
    page.locator("#list a").first.click()
    page.frame_locator("#frame").locator(".code").wait_for()
    page.wait_for_timeout(500)  # for the transition of the frame's size
    inbox = page.screenshot()
    page.set_viewport_size(DELIVERIES)
    page.goto(f"{url}/console/deliveries")
    deliveries = page.screenshot()
    context.close()
    return [inbox, deliveries]


def compose(browser: Browser, pictures: list[bytes]) -> bytes:
    """Return a WebP picture with the second screenshot in front of the first."""
    page = browser.new_page(viewport=CANVAS, device_scale_factor=SCALE)
    page.set_content(COMPOSITION % tuple(base64.b64encode(picture).decode() for picture in pictures))
    png = base64.b64encode(page.screenshot(omit_background=True)).decode()
    webp: str = page.evaluate(TO_WEBP, [png, WEBP_QUALITY])
    page.close()
    return base64.b64decode(webp)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
