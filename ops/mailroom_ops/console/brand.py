"""The brand page of a tenant: its brand and senders in a form, and a mail beside it as recipients would get it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from mailroom.model.mailbox import Mailbox
from mailroom.model.sender import Sender
from mailroom.rendering.renderer import Rendered
from mailroom_ops.console.brand_form import PURPOSES, SWITCHES, BrandForm
from mailroom_ops.console.context import PageContext, form_values, redirect
from mailroom_ops.console.plan import SIGNS, Plan
from mailroom_ops.errors import InvalidInput, OperatorError
from mailroom_ops.settings import tenants
from mailroom_ops.settings.parameters import Parameters
from mailroom_ops.templates import stored
from mailroom_ops.templates.brand_notes import brand_notes
from mailroom_ops.templates.logo_files import brand_logos, file_size, inline_logos, without_logos
from mailroom_ops.templates.preview import Gallery, block_images, shown_html
from mailroom_ops.templates.tenant_samples import PLACEHOLDER_SENDER, TenantSample, readable_mailbox, stored_files
from mailroom_ops.web.pages import json_answer, mail_page
from mailroom_ops.web.server import Request, Response

__all__ = ["answer"]

LABELS = {
    "name": "Name",
    "color": "Color",
    "logo_url": "Logo",
    "dark_logo_url": "Logo in dark mode",
    "company": "Company and address",
    "support_email": "Support address",
    "support_url": "Support page",
    "account_url": "Account page",
    "link_page": "Link page",
    "link_hosts": "Hosts of links",
}
HINTS = {
    "name": "In the header of mails, and the sender’s name where it has none",
    "color": "Of buttons and links",
    "logo_url": "https address of a PNG or JPEG, shown up to 36 pixels high",
    "dark_logo_url": "For clients that ask for it; Gmail and Outlook for Windows do not",
    "company": "Last lines of every mail",
    "support_url": "Where both are set, mails link to the page",
    "account_url": "Where recipients secure their account: the button of security notices",
    "link_page": "https address of the stack’s link page, LinkPageUrl: keeps scanners from following links",
    "link_hosts": "That the link page leads to, with commas between them",
}
SWITCH_LABELS = {
    "request_context": "When, where and with what a request was made",
    "code_in_subject": "Code in the subject",
    "text_only": "Text only, no HTML",
    "inline_logo": "Logos inside mails",
}


def answer(
    context: PageContext, request: Request, parameters: Mapping[str, str], tenant: str, below: list[str]
) -> Response | None:
    """Return the response to a request below /console/senders/NAME/brand."""
    form, page = form_values(request), BrandPage(context, tenant, parameters)
    if request.method == "POST":
        return None if below else page.load_logos(form) if "load_logos" in form else page.save(form)
    match below:
        case []:
            return page.show(form)
        case ["mail.html"]:
            return page.mail(form)
        case ["preview.json"]:
            return page.preview(form)
    return None


@dataclass(frozen=True, slots=True)
class BrandPage:
    """The pages of one tenant's brand, with the parameters of the environment at the time of the request."""

    context: PageContext
    tenant: str
    parameters: Mapping[str, str]

    @property
    def templates(self) -> Path:
        return self.context.mail_templates

    @property
    def path(self) -> str:
        return f"/console/senders/{self.tenant}/brand"

    @property
    def current(self) -> BrandForm:
        return BrandForm.of_settings(self.tenant, self.parameters)

    @property
    def inherited(self) -> BrandForm:
        return BrandForm.inherited(self.tenant, self.parameters, self.context.environment.chain)

    def show(self, form: Mapping[str, Sequence[str]], error: OperatorError | None = None) -> Response:
        """Render the form and the mails: of the submitted values, else of the current settings."""
        is_submitted = "preview" in form or bool(error and form)
        entered = BrandForm.of_request(self.tenant, form) if is_submitted else self.current
        options = self._options(form)
        rendered = self._render(entered, options)
        gallery = Gallery(self.templates)
        choices = gallery.tenant_options(self._sample(entered))
        query = urlencode({**entered.values, **options, "preview": "1"})
        values = {
            "tenant": self.tenant,
            "path": self.path,
            "entered": entered.values,
            "inherited": self.inherited.values,
            "problems": entered.problems(),
            "error": error,
            "is_saved": form.get("done") == ["saved"],
            "delay": self.context.environment.settings_delay,
            "logos": [(name, file_size(name, content)) for name, content in self._logos.items()],
            "labels": LABELS,
            "hints": HINTS,
            "switches": [(key, SWITCH_LABELS[key]) for key in SWITCHES],
            "purposes": PURPOSES,
            "options": options,
            "kinds": choices["kinds"],
            "locales": choices["locales"],
            "query": query,
            "preview": self._description(entered, rendered),
        }
        return self.context.page("brand", values, 400 if error else 200)

    def mail(self, form: Mapping[str, Sequence[str]]) -> Response:
        """Return the mail of the submitted values as a page."""
        options = self._options(form)
        rendered = self._render(BrandForm.of_request(self.tenant, form), options)
        scheme = "dark" if form.get("scheme") == ["dark"] else "light"
        html = shown_html(rendered.email) or f"<pre>{escape(rendered.email.text, quote=False)}</pre>"
        html = html if options["images"] else block_images(html)
        return mail_page(html, {"scheme": scheme, "images": options["images"]}, is_measured=True)

    def preview(self, form: Mapping[str, Sequence[str]]) -> Response:
        """Return the sender, subject, notes and problems of the submitted values as JSON."""
        entered = BrandForm.of_request(self.tenant, form)
        rendered = self._render(entered, self._options(form))
        return json_answer({**self._description(entered, rendered), "problems": entered.problems()})

    def save(self, form: Mapping[str, Sequence[str]]) -> Response:
        """Show the plan; once it is confirmed, carry it out."""
        entered, current = BrandForm.of_request(self.tenant, form), self.current
        if entered.problems():
            return self.show(form, InvalidInput("Some values are not usable."))
        try:
            changes = tenants.plan_all(entered.specs(current), self.parameters)
        except InvalidInput as error:
            return self.show(form, error)
        plan = Plan(
            f"Change {self.tenant}?",
            changes,
            self.path,
            {name: [value] for name, value in entered.values.items()},
            f"{self.path}?{urlencode({**entered.values, 'preview': '1'})}",
            entered.commands(current, self.context.frame.label),
        )
        if not plan.is_confirmed(self.context, form):
            return plan.page(self.context, form)
        tenants.apply(Parameters(self.context.environment), changes)
        return redirect(f"{self.path}?done=saved")

    def load_logos(self, form: Mapping[str, Sequence[str]]) -> Response:
        """Show the plan to put the logos at the tenant's addresses inside its mails; once confirmed, carry it out."""
        current = stored.current_files(self.tenant, self.parameters)
        try:
            logos = brand_logos(self.current.brand(self.inherited))
            if not any(name.startswith("logo.") for name in logos):
                raise InvalidInput("The brand has no logo.", "Save its address first.")
            files = {**without_logos(current), **logos}
            changes = stored.file_plan(self.tenant, files, self.parameters, inline_logo=True)
            result = stored.check(self.tenant, files, self.parameters, self.templates)
            if result.errors:
                raise InvalidInput(f"The logos cannot be stored: {result.errors[0]}.")
        except OperatorError as error:
            return self.show({}, error)
        notes = [f"{SIGNS[change.act]} {change.name}" for change in stored.compare_files(current, files)]
        command = f"mailroom templates logos --tenant {self.tenant} --env {self.context.frame.label}"
        title, values = f"Put the logos of {self.tenant} inside its mails?", {"load_logos": ["1"]}
        plan = Plan(title, changes, self.path, values, self.path, [command], [*notes, *result.warnings])
        if not plan.is_confirmed(self.context, form):
            return plan.page(self.context, form)
        tenants.apply(Parameters(self.context.environment), changes)
        return redirect(f"{self.path}?done=saved")

    @property
    def _logos(self) -> Mapping[str, str]:
        return inline_logos(self.tenant, self.parameters, self.templates)

    def _options(self, form: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Return the kind and language of the preview, and whether it loads logos."""
        last = {name: form.get(name, [""])[-1] for name in ("kind", "locale", "images")}
        choices = Gallery(self.templates).tenant_options(self._sample(self.current))
        return {
            "kind": last["kind"] if last["kind"] in choices["kinds"] else "sign-in-code",
            "locale": last["locale"] if last["locale"] in choices["locales"] else "en",
            "images": last["images"] and "1",
        }

    def _sample(self, entered: BrandForm) -> TenantSample:
        inherited = self.inherited
        auth, notification = (_sender(entered, inherited, purpose) for purpose in PURPOSES)
        files = stored_files(self.tenant, self.parameters)
        return TenantSample(self.tenant, entered.brand(inherited), auth, notification, files)

    def _render(self, entered: BrandForm, options: Mapping[str, str]) -> Rendered:
        return Gallery(self.templates).tenant_mail(self._sample(entered), options["kind"], options["locale"])

    def _description(self, entered: BrandForm, rendered: Rendered) -> dict[str, object]:
        sample, email = self._sample(entered), rendered.email
        fallback = sample.auth.from_.name or sample.auth.from_.address.rpartition("@")[2]
        return {
            "subject": email.subject,
            "from": readable_mailbox(email.from_),
            "reply_to": readable_mailbox(email.reply_to) if email.reply_to else "",
            "text": email.text,
            "notes": [note.to_json() for note in brand_notes(sample.brand, fallback, self.templates, self._logos)],
            "templates": rendered.problems,
        }


def _sender(entered: BrandForm, inherited: BrandForm, purpose: str) -> Sender:
    """Return a sender for the preview; a value that is not an address yet counts as absent."""
    from_, reply_to = (
        next(filter(None, (form.values[f"{use}.{key}"] for use, form in order)), "")
        for key in ("from", "reply_to")
        # Notifications inherit what is entered for auth mail.
        for order in [((purpose, entered), ("auth", entered), (purpose, inherited))]
    )
    return Sender(_mailbox(from_) or PLACEHOLDER_SENDER.from_, _mailbox(reply_to))


def _mailbox(text: str) -> Mailbox | None:
    try:
        return Mailbox.parse(text) if text else None
    except ValueError:
        return None
