"""The reasons of statuses, attempts and reports: what each means, and the next step.

One table for the command, the console and the documentation. A test requires a row for every reason that the layer and
the operator's tools can write.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailroom.model.outcome import Status

__all__ = ["BY_STATUS", "REASONS", "Explanation", "explain"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A sentence, and what to do next. Commands stand between backticks; words in capitals are placeholders."""

    meaning: str
    next_step: str


NOTHING = "Nothing to do."
RETRIED = "Nothing to do at first: Mailroom tries again until the mail expires."
DOCTOR = "`mailroom doctor --only providers`"
SET_KEY = f"Set the key again with `mailroom secrets set providers/PROVIDER/api_key`, then check it: {DOCTOR}."
UNCERTAIN = (
    "A provider that recognizes our keys is asked again. With any other, replay it from the dead letters: "
    "the recipient may get it twice."
)
VERIFY = "`mailroom tenant verify TENANT` lists the DNS records that are missing."

REASONS: Mapping[str, Explanation] = {
    # Decided by Mailroom
    "email_not_configured": Explanation(
        "No provider of this sender is configured, so nothing was sent and the caller got success.",
        "Set the key of a provider: `mailroom secrets set providers/resend/api_key`. Skipped mail is not sent later.",
    ),
    "suppressed": Explanation(
        "The provider did not send it: the address is on the provider's own suppression list.",
        "If the recipient can receive mail again, remove the address from the list at the provider.",
    ),
    "expired": Explanation(
        "It was not sent before its code or link stopped working.",
        "The recipient has to request a new one. Its attempts in the timeline show what delayed it.",
    ),
    "superseded": Explanation(
        "A newer code for the same recipient had replaced this one, which no longer worked.", NOTHING
    ),
    "asked_again": Explanation(
        "The recipient requested the same kind of code again and has probably not got the first one, "
        "so another provider comes first.",
        "Nothing to do. If it happens often, compare the delivery of the first provider on the page Deliverability.",
    ),
    "rescue": Explanation(
        "The first provider had accepted this code and not delivered it, so another provider got it as well.",
        "Nothing to do. If it happens often, compare the delivery of the first provider on the page Deliverability.",
    ),
    "duplicate": Explanation("The same mail for the same recipient was sent a moment before.", NOTHING),
    "rate_limited": Explanation(
        "The provider accepts no more requests per second from this account.",
        f"{RETRIED} If it happens often, request a higher rate from the provider.",
    ),
    "holding_back": Explanation(
        "The provider has just failed or asked for a pause, so no mail is handed to it for some seconds.",
        f"{RETRIED} Earlier mails show why, and {DOCTOR} tests it. A second provider is faster.",
    ),
    "no_time_left": Explanation(
        "The function had too little time left to wait for a provider's answer.",
        "Nothing to do: it is tried again at once.",
    ),
    "called_off": Explanation(
        "The process that had it ended before its request left, which it shares with other mails.",
        "Nothing to do: it is tried again at once.",
    ),
    "dissolved": Explanation(
        "It shared a request with other mails that its provider did not answer, and another provider can be asked.",
        "Nothing to do: it goes there at once.",
    ),
    "not_sealed": Explanation(
        "Somebody who can write to the queue changed its text, or put it there.",
        "Inspect it with `mailroom dlq list`, and find out who has access to the queues. Do not replay it.",
    ),
    "dropped": Explanation("An operator dropped it from the dead letters.", NOTHING),
    "claimed_by_another": Explanation("Another process was working on it.", NOTHING),
    "no_batches": Explanation(
        "The provider accepts one mail per request, and got several.", "Nothing to do: each is sent separately."
    ),
    "not_recorded": Explanation(
        "The ledger did not answer, so the outcome could not be recorded.", "Nothing to do: it is recorded later."
    ),
    # The answer to a caller of `send`
    "unavailable": Explanation(
        "AWS did not answer, so the request was interrupted.",
        "Repeat it with the same idempotency key: the message is finished, not sent twice.",
    ),
    "crashed": Explanation(
        "The function had an internal error.",
        "Repeat it with the same idempotency key. The log of the function names the place of the error.",
    ),
    # Settings
    "malformed": Explanation(
        "A setting or a template file is malformed; the detail names it.",
        "Set it again with the command in the detail, or correct the file at the line in the detail; "
        "`mailroom doctor --only settings` checks all settings.",
    ),
    "missing": Explanation(
        "A setting is missing; the detail names it.",
        "Set it with the command in the detail; `mailroom doctor --only settings` checks all of them.",
    ),
    "unknown_provider": Explanation(
        "The sender names a provider that does not exist.",
        "Correct its chain: `mailroom tenant add TENANT --providers resend`.",
    ),
    "bad_key": Explanation("The provider refused the key, or the login.", SET_KEY),
    "forbidden": Explanation(
        "The key is valid, and may not send this mail.",
        "Give the key permission to send at the provider, for this domain.",
    ),
    "unverified_sender": Explanation("The provider has not verified the domain of the from-address.", VERIFY),
    "unknown_domain": Explanation(
        "The provider does not know the sending domain, or it is in another region.",
        f"Add the domain at the provider, or correct `providers/mailgun/domain` and its endpoint. {VERIFY}",
    ),
    "invalid_sender": Explanation(
        "The provider does not accept the from-address.",
        "Correct it: `mailroom tenant add TENANT --from 'NAME <ADDRESS>'`.",
    ),
    "test_mode": Explanation(
        "The account at the provider is still in test mode and sends to few addresses only.",
        "Request production access at the provider, or verify a domain of your own.",
    ),
    "suspended": Explanation(
        "The provider has suspended the account.", "Read the provider's message to the account's owner, and answer it."
    ),
    "unpaid": Explanation("The provider wants to be paid first.", "See the account's billing page at the provider."),
    "not_found": Explanation(
        "The provider has no such address of its API.",
        "Correct the endpoint: `mailroom secrets list providers` shows it.",
    ),
    "redirected": Explanation(
        "The endpoint redirects to another address, which is not followed, because the request contains the key.",
        "Set the final address as the endpoint.",
    ),
    "unknown_tag": Explanation(
        "The provider does not know the tag in its settings.", "Create the tag at the provider, or remove the setting."
    ),
    "unknown_stream": Explanation("Postmark does not know the message stream.", "Correct `providers/postmark/stream`."),
    "no_tls": Explanation(
        "The relay offers no TLS, or not on this port.",
        "Correct `providers/smtp/port` or `providers/smtp/tls`: see docs/providers/smtp.md.",
    ),
    "no_login": Explanation(
        "The relay offers no login method that Mailroom supports.", "Use another port of the relay, usually 587 or 465."
    ),
    "no_token": Explanation(
        "The token server of an SMTP relay did not issue a token for the login.",
        "Mailroom tries again. If it lasts, see the status page of the token server, and `mailroom doctor`.",
    ),
    "bad_certificate": Explanation(
        "The certificate of the relay is not valid for its name.",
        "Correct `providers/smtp/host`, or renew the certificate of the relay.",
    ),
    # A provider's answer: nothing was accepted, and a later attempt may succeed
    "unreachable": Explanation(
        "No connection to the provider could be made.",
        f"{RETRIED} If it lasts, check the provider's status page and {DOCTOR}.",
    ),
    "busy": Explanation("The provider was busy with another request.", RETRIED),
    "maintenance": Explanation("The provider is in maintenance.", f"{RETRIED} See the provider's status page."),
    "try_later": Explanation("The relay asked for another attempt later.", RETRIED),
    "greylisted": Explanation("The receiving server accepts unknown senders at a second attempt only.", RETRIED),
    "quota": Explanation(
        "The account at the provider has used up its quota.",
        "Raise the quota at the provider, or add a second provider to the chain.",
    ),
    "daily_quota": Explanation(
        "The account at the provider has used up its quota of the day.",
        "Raise the quota at the provider, or add a second provider to the chain.",
    ),
    "monthly_quota": Explanation(
        "The account at the provider has used up its quota of the month.",
        "Raise the quota at the provider, or add a second provider to the chain.",
    ),
    "quota_or_spam": Explanation(
        "Aliyun refused it: the quota of the day is used up, or its filter takes the mail for spam.",
        "See the quota in the console of Aliyun Direct Mail; if it is not used up, change the words of the mail.",
    ),
    # A provider's answer: it will never accept this mail
    "invalid_address": Explanation(
        "The address of the recipient is not valid.", "Ask the recipient for another address."
    ),
    "non_ascii_address": Explanation(
        "The address has letters before the @ that the provider does not accept.",
        "Ask the recipient for another address, or use a relay with SMTPUTF8.",
    ),
    "invalid_recipient": Explanation(
        "The provider does not accept the address of the recipient.", "Ask the recipient for another address."
    ),
    "too_large": Explanation("The mail is too large.", "Make the template or the caller's text smaller."),
    "invalid": Explanation(
        "The provider does not accept the form of the request.",
        "The detail has the provider's sentence. If it is not about the sender or the recipient, report it to us.",
    ),
    "refused": Explanation(
        "The provider or its relay refused it for good.", "The detail has its sentence, and often a link."
    ),
    "mailbox_full": Explanation(
        "The mailbox of the recipient is full.", "The recipient has to make room, or give another address."
    ),
    # No clear answer: the recipient may have it
    "no_answer": Explanation(
        "The request left, and no answer came: the recipient may have it.",
        UNCERTAIN,
    ),
    "timeout": Explanation(
        "The provider took too long to read the request: the recipient may have it.",
        UNCERTAIN,
    ),
    "garbage": Explanation(
        "The provider's answer could not be read: the recipient may have it.",
        f"If it lasts, another server answers in its place: check the endpoint, and {DOCTOR}.",
    ),
    # A provider's report, after it had accepted the mail
    "no_mailbox": Explanation(
        "The recipient's server has no such mailbox.",
        "The address is probably misspelt. It is suppressed for a while; once it exists, remove the suppression.",
    ),
    "content": Explanation(
        "The recipient's server takes the content for spam or a virus.",
        "Look for links to other domains and for words in capitals in the mail, and check the sender's reputation.",
    ),
    "blocked": Explanation(
        "The recipient's server refuses the sender: its reputation, its policy, or its authentication.",
        f"{VERIFY} The detail has the code of the server.",
    ),
    "auto_reply": Explanation("It arrived, and an absence note came back.", NOTHING),
    "previous_bounce": Explanation(
        "The provider did not send it, because an earlier mail to this address had bounced.",
        "Once the mailbox exists, remove the address at the provider and from the suppressions.",
    ),
    "previous_complaint": Explanation(
        "The provider did not send it, because the recipient had marked an earlier mail as spam.",
        "Remove the address at the provider only if the recipient asks for it.",
    ),
    "unsubscribed": Explanation(
        "The recipient has unsubscribed at the provider.",
        "Remove the address at the provider only if the recipient asks for it.",
    ),
    "other": Explanation("The provider reports no reason that we know.", "The provider's own log has more, by its id."),
    # AWS
    "contended": Explanation("Other processes changed the same row again and again.", RETRIED),
    "throttled": Explanation("DynamoDB rejected requests: the table was too busy.", f"{RETRIED} See docs/scaling.md."),
    "tree_not_read_yet": Explanation("The parameter store has many settings, not all of which were read.", RETRIED),
    "no_credentials": Explanation(
        "The function has no AWS credentials.", "Deploy the stack again: its execution role is incomplete."
    ),
}

# The same word has another meaning where the message, or its attempt, has this status.
BY_STATUS: Mapping[tuple[str, str], Explanation] = {
    (Status.SKIPPED, "suppressed"): Explanation(
        "The address is on the tenant's suppression list, so nothing was sent.",
        "If the recipient can receive mail again, remove the suppression: `mailroom suppressions remove ADDRESS`.",
    ),
    (Status.SKIPPED, "rate_limited"): Explanation(
        "The recipient or the client had requested too many codes in ten minutes.",
        "Nothing to do if somebody plays with the form. Else `mailroom limits reset ADDRESS`, or raise a limit.",
    ),
    (Status.BOUNCED, "unreachable"): Explanation(
        "The recipient's server could not be reached: its DNS, its route, or the server itself.",
        "The domain is probably misspelt, or its server is down. Ask the recipient for another address.",
    ),
    (Status.BOUNCED, "quota"): Explanation(
        "The recipient's server accepts no more mail from this sender at the moment.",
        "Send less mail to this domain for a while.",
    ),
}
HTTP_STATUS = re.compile(r"http_(\d{3})")


def explain(reason: str, status: str = "") -> Explanation | None:
    """Return the meaning of a reason, given the status that it belongs to; None for one that is not ours."""
    if match := HTTP_STATUS.fullmatch(reason):
        doubt = ": it may have sent the mail" if match[1][0] in "25" else ""
        return Explanation(
            f"The provider answered with HTTP {match[1]}{doubt}.",
            f"{RETRIED} If it lasts, see the provider's status page and {DOCTOR}.",
        )
    return BY_STATUS.get((status, reason)) or REASONS.get(reason)
