"""Redaction of texts from outside: a provider may quote a mail in its answer, and logs and the ledger must not."""

import re
from collections.abc import Iterator

from mailroom.model.email import Email

__all__ = ["redact", "remove_quotes"]

MAX_INPUT_LENGTH = 600
MAX_LENGTH = 200
MARK = "…"
Span = tuple[int, int]

# Private in any text, with no mail to compare it with. The status codes of SMTP, `550 5.1.1`, are not.
PRIVATE = r"""
    [^\s@]*@\S*                                                   # an address
  | [a-z][a-z0-9+.-]*://\S+                                       # a link
  | [\w-]+(?:\.[\w-]+)+[/?]\S+                                    # a link without its scheme
  | [^\s?]*\?[^\s=]*=\S*                                          # a query string
  | \b(?:re_|sk[_-]|sg\.|key-|whsec_|bearer\s)\S+                 # a key
  | (?<![\w.-])(?!\d{3}-\d\.\d)(?=(?:-?\d){4})\d+(?:-\d+)*(?!\w)  # a code of digits, also in groups
  | (?<!\w)(?=\w*\d)(?=\w*[^\W\d_])\w{4,}                         # a code of letters and digits
"""
WORD = re.compile(r"[^\W_]+")
MIN_QUOTE_LENGTH = 6  # characters
MIN_CODE_LENGTH = 4  # characters, of words without a lower-case letter
# Providers use these words in their own answers, and mails contain some of them.
COMMON = """
    a about an and any are as at be been but by can cannot could did do does for from had has have if in is it its
    may more must no not of on or our out please so than that the this to too was we were will with would you your
    accept accepted access account accounts action address addresses again allowed another attempts authentication
    authorized available blocked change check client closed code codes company complaint connection contact contains
    content daily date day days delay delayed deliver delivered delivery denied detected disabled domain domains
    email emails enabled error errors exceeded expired expires failed failure field header headers hour hours
    identity invalid later limit limits link links login mail mailbox mails maximum message messages minute minutes
    missing monthly number other password permanent permanently permitted policy problem provide provided query
    quota rate reached reason receive received recipient recipients refused rejected report request requested
    requests required resend second seconds security send sender senders sending sent server service sign signature
    spam status subject support suspended temporarily temporary time times tried try unable unknown unsubscribe
    until user users valid verification verified verify version website without wrong
"""
COMMON_WORDS = frozenset(COMMON.split())


def redact(text: str, *emails: Email) -> str:
    """Return the words of a provider, or of AWS, without private parts and without quotes of the mails it was given."""
    text = _printable(text)
    return _without(text, [*_private(text), *_quotes(text, emails)], emails)


def remove_quotes(text: str, *emails: Email) -> str:
    """Return a text without quotes of the mails. Ids remain, which `redact` would take for codes."""
    text = _printable(text)
    return _without(text, list(_quotes(text, emails)), emails)


def _printable(text: str) -> str:
    characters = (char if char.isprintable() else " " for char in text[:MAX_INPUT_LENGTH])
    return " ".join("".join(characters).split())


def _private(text: str) -> Iterator[Span]:
    for match in re.finditer(PRIVATE, text, re.VERBOSE | re.IGNORECASE):  # compiled and cached at first use
        yield match.span()


def _quotes(text: str, emails: tuple[Email, ...]) -> Iterator[Span]:
    """Yield runs of words that a mail contains as well, unless all of these words are common."""
    words = list(WORD.finditer(text))
    rare = {word[0].casefold() for word in words} - COMMON_WORDS
    parts = [part.casefold() for email in emails for part in _parts(email)] if rare else []
    if not any(word in part for part in parts for word in rare):
        return  # the usual case: only words of the provider
    mail = " ".join(["", *(word for part in parts for word in WORD.findall(part)), ""])
    for number, first in enumerate(words):
        run, secret = "", ""
        for word in words[number:]:
            folded = word[0].casefold()
            run += f" {folded}"
            if f"{run} " not in mail:
                break
            secret += "" if folded in COMMON_WORDS else word[0]
            if len(secret) >= (MIN_CODE_LENGTH if secret == secret.upper() else MIN_QUOTE_LENGTH):
                yield first.start(), word.end()
        folded = first[0].casefold()
        if len(folded) >= MIN_QUOTE_LENGTH and folded not in COMMON_WORDS and folded in mail:
            yield first.span()  # a part of a longer word


def _parts(email: Email) -> tuple[str, ...]:
    import html  # its table of entities is not for the cold start of a function that sends nothing

    names = [email.reply_to.name, email.reply_to.address] if email.reply_to else []
    return (email.to, email.subject, email.text, html.unescape(email.html), *email.headers.values(), *names)


def _without(text: str, spans: list[Span], emails: tuple[Email, ...]) -> str:
    """Cut spans out of a text, except inside a sender's domain: an operator has to read which one is not verified."""
    kept = [span for email in emails for span in _domains(text, email)]
    parts: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if stop <= end or any(first <= start and stop <= last for first, last in kept):
            continue
        if start > end or not parts:
            parts.append(text[end:start])
        parts.append(MARK)
        end = stop
    shortened = re.sub(rf"{MARK}(?:\s?{MARK})+", MARK, "".join([*parts, text[end:]]))
    return shortened[:MAX_LENGTH]


def _domains(text: str, email: Email) -> Iterator[Span]:
    domain = re.escape(email.from_.address.rpartition("@")[2])
    for match in re.finditer(rf"(?<![\w.@/-]){domain}(?![\w/?@-]|\.\w)", text, re.IGNORECASE):
        yield match.span()
