"""Conversion of another system's templates into ours: tags become ours, all other text stays text."""

import re
from collections.abc import Callable, Iterable

from mailroom_ops.templates.imported import literal, literal_sentence

__all__ = ["NotConvertible", "condition", "convert", "payload", "sentence"]

STRING = re.compile(r'"[^"\\]*"|\'[^\'\\]*\'')


class NotConvertible(ValueError):
    """A template has a construct without a counterpart; `str()` is the construct."""


def convert(
    source: str, tag: re.Pattern[str], replace: Callable[[re.Match[str]], str], other: Callable[[str], str] = literal
) -> str:
    """Return the source with each tag replaced, and other text as text."""
    parts, at = [], 0
    for match in tag.finditer(source):
        parts += [other(source[at : match.start()]), replace(match)]
        at = match.end()
    return "".join([*parts, other(source[at:])])


def sentence(source: str, tag: re.Pattern[str], placeholder: Callable[[re.Match[str]], str]) -> str:
    """Return one line of text with a placeholder for each tag; an empty placeholder stands for nothing."""

    def replace(match: re.Match[str]) -> str:
        name = placeholder(match)
        return f"{{{name}}}" if name else ""

    return convert(" ".join(source.split()), tag, replace, literal_sentence)


def payload(path: str) -> str:
    """Return the expression for a value of the message's data; it is empty where the data has none."""
    return f'payload["{path}"]'


def condition(words: Iterable[str], value: Callable[[str], str]) -> str:
    """Return a condition of variables, texts, `==`, `!=`, `and` and `or`; raise NotConvertible for any other word."""
    terms = []
    for word in words:
        if word in ("==", "!=", "and", "or"):
            terms.append(word)
        elif STRING.fullmatch(word):
            terms.append(f'"{word[1:-1]}"')
        elif re.fullmatch(r"[\w.]+", word):
            terms.append(value(word))
        else:
            raise NotConvertible(word)
    return " ".join(terms)
