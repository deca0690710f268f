"""What a tenant's template may do, decided before it runs: show values, branch, and walk through a list.

minijinja's fuel stops loops and its depth limit recursion, but neither stops an allocation (`x ~ x` forty times over,
`"{:>999999999}".format(1)`), and a long chain of `and` overflows its stack and takes the process along (3.0.5, observed
2026-11). So this is a list of what is allowed; a template is measured against it and never run if it asks for more.
"""

import re
from collections.abc import Callable, Iterator

from minijinja import Environment

__all__ = ["NotAllowed", "check", "environment"]

SOURCE_LENGTH = 64 * 1024
TAG_TOKENS = 40
DEPTH = 10
FUEL = 20_000
BRANCHES = 100
LISTS = frozenset({"facts", "footer", "notes", "paragraphs"})
LIST_LENGTH = 50  # no list of a view is longer, and no value longer than:
VALUE_LENGTH = 2000
OUTPUT_LENGTH = 2 * 1024 * 1024  # what a template could write at worst, were every list full

CLOSE = {"{{": "}}", "{%": "%}"}
OPEN = re.compile(r"\{[{%#]")
TOKEN = re.compile(
    r"""\s*(?:(?P<end>[-+]?[%}]\})
    | (?P<string>"[^"\\]{0,200}"|'[^'\\]{0,200}')
    | (?P<number>\d{1,9}(?!\w))
    | (?P<name>[A-Za-z][A-Za-z0-9_]{0,63})
    | (?P<sign>==|!=|<=|>=|[.,()\[\]|<>]))""",
    re.VERBOSE,
)
FILTERS = frozenset({"capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper"})
TESTS = frozenset({"defined", "undefined", "none", "true", "false"})
INCLUDABLE = re.compile(r"""["']parts/[a-z-]+\.(html|txt)["']""")
EXTENDABLE = re.compile(r"""["']layout\.(html|txt)["']""")


class NotAllowed(ValueError):
    """A template asks for more than a tenant's may; `str()` says where and what."""


def environment(load: Callable[[str], str | None]) -> Environment:
    """Return an engine for templates that passed `check`, with a tank of fuel as the second belt."""
    return Environment(
        loader=load,
        fuel=FUEL,
        undefined_behavior="strict",
        pycompat=False,
        trim_blocks=True,
        lstrip_blocks=True,
        debug=False,
    )


def check(source: str, *, may_include: bool = True) -> None:
    """Raise NotAllowed if a template holds anything but what is listed here."""
    if len(source) > SOURCE_LENGTH:
        raise NotAllowed(f"longer than {SOURCE_LENGTH} characters")
    worst, loops, open_blocks, branches = 0, 0, 0, 0
    for literal, tag, tokens, line in _parts(source):
        cost, repeated = len(literal), LIST_LENGTH ** max(0, loops)
        try:
            if tag == "{{":
                _check_expression(tokens, may_call_super=not loops)
                cost += VALUE_LENGTH
            elif tag == "{%":
                verb = _check_statement(tokens)
                if (verb == "include" and not may_include) or (loops and verb in ("include", "block")):
                    raise NotAllowed(f"`{verb}` may not stand here")
                loops += (verb == "for") - (verb == "endfor")
                branches += verb == "elif"
                open_blocks += (verb in ("if", "for", "block")) - (verb in ("endif", "endfor", "endblock"))
        except NotAllowed as error:
            raise NotAllowed(f"line {line}: {error}") from None
        if branches > BRANCHES:
            raise NotAllowed(f"line {line}: more than {BRANCHES} times `elif`")
        if not 0 <= open_blocks <= DEPTH:
            raise NotAllowed(f"line {line}: blocks nested deeper than {DEPTH}, or closed before they were opened")
        worst += cost * repeated
    if worst > OUTPUT_LENGTH:
        raise NotAllowed("its loops could write more than a mail can hold")


def _parts(source: str) -> Iterator[tuple[str, str, list[tuple[str, str]], int]]:
    """Yield each stretch of text with the tag that follows it, the tag's tokens and its line."""
    at = 0
    while found := OPEN.search(source, at):
        literal, tag, line = source[at : found.start()], found[0], source.count("\n", 0, found.start()) + 1
        tokens: list[tuple[str, str]] = []
        if tag == "{#":
            at = source.find("#}", found.end()) + 2
            if at < 2:
                raise NotAllowed(f"line {line}: a comment without an end")
        else:
            at = found.end() + source.startswith(("-", "+"), found.end())
            while True:
                token = TOKEN.match(source, at)
                if not token:
                    raise NotAllowed(f"line {line}: `{source[at:].lstrip()[:1]}` is not for tenants' templates")
                if len(tokens) > TAG_TOKENS:
                    raise NotAllowed(f"line {line}: a tag of more than {TAG_TOKENS} words")
                at = token.end()
                if token["end"]:
                    if token["end"][-2:] != CLOSE[tag]:
                        raise NotAllowed(f"line {line}: `{tag}` closed by `{token['end']}`")
                    break
                tokens.append((str(token.lastgroup), token[str(token.lastgroup)]))
        yield literal, tag, tokens, line
    yield source[at:], "", [], 0


def _check_statement(tokens: list[tuple[str, str]]) -> str:
    verb, rest = tokens[0][1] if tokens else "", tokens[1:]
    words = [text for _, text in rest]
    match verb:
        case "if" | "elif":
            _check_expression(rest)
        case "for":
            # A text can be walked through too, letter by letter; only what is known to be a short list may be.
            if len(words) < 3 or words[-2] != "in" or words[-1] not in LISTS or LISTS & set(words[:-2]):
                raise NotAllowed(
                    f"write a loop as `for item in list`, where the list is one of {', '.join(sorted(LISTS))}"
                )
        case "else" | "endif" | "endfor" | "block" | "endblock" if all(kind == "name" for kind, _ in rest):
            pass
        case "extends" if len(rest) == 1 and EXTENDABLE.fullmatch(words[0]):
            pass
        case "include" if len(rest) == 1 and INCLUDABLE.fullmatch(words[0]):
            pass
        case _:
            raise NotAllowed(f"`{verb}` is not for tenants' templates, or not like this")
    return verb


def _check_expression(tokens: list[tuple[str, str]], *, may_call_super: bool = False) -> None:
    if may_call_super and [text for _, text in tokens] == ["super", "(", ")"]:
        return
    texts = ["", "", *(text for _, text in tokens), ""]
    kinds = ["", "", *(kind for kind, _ in tokens), ""]
    for at in range(2, len(texts) - 1):
        before, text, after = texts[at - 1], texts[at], texts[at + 1]
        if text == "(" and not (texts[at - 2] == "|" and kinds[at - 1] == "name"):
            raise NotAllowed("brackets may only follow a filter")
        if text == "[" and not (kinds[at - 1] == "name" and kinds[at + 1] in ("string", "number")):
            raise NotAllowed("square brackets may only pick a named or numbered piece")
        if before == "|" and text not in FILTERS:
            raise NotAllowed(f"the filter `{text}` is not for tenants' templates")
        if before == "is" and text not in TESTS and text != "not":
            raise NotAllowed(f"the test `{text}` is not for tenants' templates")
        if text == "|" and after not in FILTERS:
            raise NotAllowed("a filter's name must follow `|`")
