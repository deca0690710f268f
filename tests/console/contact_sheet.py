"""Writes docs/console.webp, a contact sheet of the console: `python -m tests.console.contact_sheet [FOLDER]`.

Each page is shown full, with a provider down and dead letters waiting, and empty; on a desk and on a phone.
With a FOLDER, a picture of each page in each state and size is written there, as PNG.
"""

import json
import os
import sys
import tempfile
import time
import urllib.request
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect

from mailroom.aws.client import Aws
from mailroom.errors import TemporaryFailure, UnknownOutcome
from mailroom.feedback.suppression import Cause
from mailroom.ledger.table import Ledger
from mailroom.ledger.tally import EVERYONE, hour_of
from mailroom.model.event import Event, EventType, Reason
from mailroom.model.kinds import KINDS, Lane
from mailroom.model.message import Message, Parcel
from mailroom.model.outcome import Attempt, Outcome, Status
from mailroom_ops.environment import Environment
from mailroom_ops.ledger import suppressions
from mailroom_ops.ledger.queries import LedgerQueries
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.templates import chromium
from tests.cloud import LEDGER, REGION, moto_url
from tests.console.client import Client, LedgerWriter, aws, serving_console
from tests.factories import KEY

ROOT = Path(__file__).parents[2]
SHEET = ROOT / "docs" / "console.webp"
PAGES = ("deliveries", "message", "search", "deliverability", "suppressions", "queues", "dead-letters", "senders")
MORE_PAGES = ("sender", "brand", "texts", "add-tenant", "doctor", "confirm", "error", "palette", "keys")
SIZES: tuple[tuple[str, int, int, Literal["light", "dark"]], ...] = (
    ("desk", 1280, 800, "light"),
    ("desk-dark", 1280, 800, "dark"),
    ("phone", 390, 760, "dark"),
)
SHEET_CELLS = (
    *(("full", page, "desk") for page in ("deliveries", "message", "deliverability", "queues")),
    *(("broken", page, "desk") for page in ("deliveries", "message", "dead-letters", "doctor")),
    *(("full", page, "desk") for page in ("sender", "brand", "texts", "add-tenant")),
    *(("empty", page, "desk-dark") for page in ("deliveries", "suppressions")),
    *(("full", page, "desk-dark") for page in ("senders", "palette")),
    *(("broken", page, "phone") for page in ("deliveries", "message", "queues", "deliverability")),
)
COLUMNS = 4
CELL = (480, 300)


@contextmanager
def environment(state: str) -> Iterator[Client]:
    """Serve a console of staging in one of the states."""
    url = moto_url()
    os.environ.update({"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION})
    os.environ.update({"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
    names = [f"{lane.title()}{part}" for lane in Lane for part in ("Queue", "DeadLetterQueue")]
    template = {
        "Resources": {"LedgerTable": {"Type": "AWS::DynamoDB::Table", "Properties": LEDGER}}
        | {name: {"Type": "AWS::SQS::Queue"} for name in names},
        "Outputs": {"LedgerTableName": {"Value": {"Ref": "LedgerTable"}}}
        | {f"{name}Url": {"Value": {"Ref": name}} for name in names},
    }
    aws("cloudformation", url).create_stack(StackName="mailroom-staging", TemplateBody=json.dumps(template))
    aws("ssm", url).put_parameter(Name="/mailroom/staging/ledger/address_key", Value=KEY, Type="SecureString")
    if state != "empty":
        _fill(Ledger(Aws(REGION, url), "ledger", 16), is_broken=state == "broken")
    with serving_console("staging") as client:
        client.log_in()
        yield client


def _fill(ledger: Ledger, *, is_broken: bool) -> None:
    where = Environment("staging")
    Parameters(where).write(
        {
            "senders/default/auth": '{"from": "Acme <login@mail.acme.example>", "providers": ["resend", "ses"]}',
            "senders/default/notification": '{"from": "Acme <news@news.acme.example>"}',
            "senders/globex/auth": '{"from": "Globex <no-reply@globex.example>"}',
            "brands/default": '{"name": "Acme", "color": "#0f766e"}',
            "brands/globex": '{"name": "Globex", "color": "#7c3aed"}',
            "providers/resend/api_key": "re_123",
        }
    )
    writer, kinds = LedgerWriter(ledger), list(KINDS)
    for number in range(46):
        status = [Status.SENT, Status.SENT, Status.SENT, Status.SKIPPED, Status.SENT][number % 5]
        reason = "superseded" if status is Status.SKIPPED else ""
        tenant = ("default", "default", "globex")[number % 3]
        mail = writer.sent(60 + number * 97, status, reason, tenant=tenant, kind=kinds[number % len(kinds)])
        event = {0: EventType.DELIVERED, 1: EventType.DELIVERED, 4: EventType.BOUNCED}.get(number % 5)
        if event:
            reason_ = Reason.NO_MAILBOX if event is EventType.BOUNCED else None
            at = mail.created_at + 0.44
            ledger.record(mail.id, Event(event, "resend", f"{number}", at, permanent=True, reason=reason_))
    for hour in range(20):
        _count(ledger, time.time() - hour * 3600, 200 + 40 * (hour % 7), 3 if hour < 5 else 1)
    queries = LedgerQueries.of(where)
    for name, cause in zip(("ada", "grace", "linus"), (Cause.BOUNCE, Cause.COMPLAINT, Cause.MANUAL), strict=True):
        suppressions.add(queries, "default", f"{name}@example.com", {Lane.CODES: 7, Lane.NOTICES: 180}, cause)
    if is_broken:
        _break(ledger, writer, where)


def _count(ledger: Ledger, at: float, sent: int, bounced: int) -> None:
    for scope in ("default", EVERYONE):
        numbers = {
            "sent/resend": sent,
            "delivered/resend": sent - 2 * bounced,
            "bounced/resend": bounced,
            "sent/ses": sent // 4,
            "delivered/ses": sent // 4 - 1,
            "skipped/superseded": 2,
            "failed/ses/quota": bounced,
            "attempt/ses/quota": bounced * 4,
        }
        names = {f"#{n}": name for n, name in enumerate(numbers)}
        values = {f":{n}": {"N": str(number)} for n, number in enumerate(numbers.values())}
        update = {
            "TableName": "ledger",
            "Key": {"pk": {"S": f"tally#{scope}#{hour_of(at)}#0"}},
            "UpdateExpression": "ADD " + ", ".join(f"#{n} :{n}" for n in range(len(numbers))),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
        ledger._aws.call("dynamodb", "UpdateItem", update)


def _break(ledger: Ledger, writer: LedgerWriter, where: Environment) -> None:
    for number in range(6):
        mail = writer.accepted(24 - number * 3)
        tries = tuple(
            Attempt(mail.created_at + 0.4 + 3 * step, "resend", "http_503", "Service Unavailable", UnknownOutcome)
            for step in range(3)
        )
        outcome = Outcome(Status.ACCEPTED, "http_503", tries=tries, retry_in=40)
        ledger.release(mail.id, "token", 3, outcome, ("resend",))
    sqs, outputs = where.client("sqs"), where.outputs
    for number in range(5):
        body = Parcel.of(_failed(ledger, writer, number)).to_json()
        sqs.send_message(QueueUrl=outputs["NoticesDeadLetterQueueUrl"], MessageBody=body)


def _failed(ledger: Ledger, writer: LedgerWriter, number: int) -> Message:
    mail = writer.accepted(900 + number, kind="organization-invitation", expires_at=time.time() + 3600)
    tries = (Attempt(time.time() - 890, "ses", "daily_quota", "Daily message quota exceeded", TemporaryFailure),)
    ledger.finish(mail.id, "token", Outcome(Status.FAILED, "daily_quota", tries=tries), time.time() - 800)
    return mail


def open_page(page: Page, client: Client, name: str, state: str) -> None:
    """Show one page of the console as an operator sees it."""
    paths = {
        "dead-letters": "queues/notices",
        "sender": "senders/default",
        "brand": "senders/default/brand",
        "texts": "senders/default/texts?kind=password-reset",
        "add-tenant": "senders?add=1",
        "error": "nothing",
        "confirm": "suppressions",
    }
    path = f"/console/{paths.get(name, name)}"
    if name == "message":
        listed = client.get("/console/deliveries?status=accepted&status=bounced").text
        ids = [part[:32] for part in listed.split('id="message-')[1:]]
        path = f"/console/deliveries/{ids[0] if ids else '0' * 32}"
    if name in ("search", "palette", "keys"):
        path = "/console/deliveries"
    page.goto(client.url + path)
    if name == "search":
        page.get_by_role("searchbox").fill("nobody@example.com")
        page.keyboard.press("Enter")
    elif name == "dead-letters":
        page.locator("button[value=look]").first.click()
        expect(page.locator("progress")).to_have_count(0)
    elif name == "doctor" and state != "empty":
        page.get_by_role("button", name="Run the checks").or_(page.get_by_role("button", name="Check again")).click()
        expect(page.locator("progress")).to_have_count(0, timeout=60_000)
    elif name == "confirm" and state != "empty":
        page.get_by_role("button", name="Remove").first.click()
    elif name == "palette":
        page.keyboard.press("Control+k")
        page.keyboard.type("glo")
        page.get_by_role("dialog").get_by_role("option").first.wait_for()
    elif name == "keys":
        page.keyboard.press("?")
    page.wait_for_timeout(250)


def pictures(browser: Browser, client: Client, state: str, folder: Path, *, only_sheet: bool) -> None:
    """Write a picture of each page in each size, or of those in the sheet."""
    for size, width, height, scheme in SIZES:
        # Closed before the console ends, which waits for its connections.
        with closing(browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)) as context:
            name, _, value = client.cookie.partition("=")
            context.add_cookies([{"name": name, "value": value, "url": client.url}])
            page = context.new_page()
            for shown in (*PAGES, *MORE_PAGES):
                if only_sheet and (state, shown, size) not in SHEET_CELLS:
                    continue
                open_page(page, client, shown, state)
                page.screenshot(path=folder / f"{state}-{shown}-{size}.png")


def write_sheet(browser: Browser, folder: Path) -> None:
    """Draw the chosen pictures into one, and write it as WebP."""
    images = [b64encode((folder / f"{'-'.join(cell)}.png").read_bytes()).decode() for cell in SHEET_CELLS]
    page = browser.new_page()
    data = page.evaluate(
        """async ([images, columns, [width, height]]) => {
          const gap = 10, rows = Math.ceil(images.length / columns);
          const canvas = Object.assign(document.createElement("canvas"),
            { width: columns * (width + gap) + gap, height: rows * (height + gap) + gap });
          const paper = canvas.getContext("2d");
          paper.fillStyle = "#8f897d";
          paper.fillRect(0, 0, canvas.width, canvas.height);
          for (const [index, image] of images.entries()) {
            const picture = new Image();
            picture.src = `data:image/png;base64,${image}`;
            await picture.decode();
            const scale = Math.min(width / picture.width, height / picture.height);
            const [w, h] = [picture.width * scale, picture.height * scale];
            const x = gap + (index % columns) * (width + gap) + (width - w) / 2;
            const y = gap + Math.floor(index / columns) * (height + gap) + (height - h) / 2;
            paper.drawImage(picture, x, y, w, h);
          }
          return canvas.toDataURL("image/webp", 0.7);
        }""",
        [images, COLUMNS, CELL],
    )
    SHEET.write_bytes(b64decode(data.partition(",")[2]))


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    with chromium.launch() as browser:
        for state in ("full", "broken", "empty"):
            with environment(state) as client:
                pictures(browser, client, state, folder, only_sheet=len(sys.argv) == 1)
        write_sheet(browser, folder)


if __name__ == "__main__":
    main()
