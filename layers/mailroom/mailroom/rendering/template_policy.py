"""The policy for tenants' templates, checked before they run: show values, branch, and loop over a list.

minijinja's fuel stops loops and its depth limit recursion, but neither stops an allocation (`x ~ x` forty times over,
`"{:>999999999}".format(1)`), and a long chain of `and` overflows its stack and kills the process (3.0.5, observed
2026-11). So this is a list of what is allowed; a template with anything else is never run.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from minijinja import Environment, TemplateError

__all__ = ["NotAllowed", "RenderingError", "check", "environment", "render"]

MAX_SOURCE_LENGTH = 64 * 1024
MAX_TAG_TOKENS = 40
MAX_DEPTH = 10
FUEL = 20_000
MAX_BRANCHES = 100
LISTS = frozenset({"facts", "footer", "notes", "paragraphs"})
# The context has no longer lists and no longer values.
MAX_LIST_LENGTH = 50
MAX_VALUE_LENGTH = 2000
MAX_OUTPUT_LENGTH = 2 * 1024 * 1024  # with every list at its maximum length

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
NOT_IN_PARTS = ("block", "extends", "include")
EXTENDABLE = re.compile(r"""["']layout\.(html|txt)["']""")


class NotAllowed(ValueError):
    """A template contains something that tenants may not use; `str()` has the line and the reason."""


class RenderingError(Exception):
    """A template failed while it ran; `str()` has the place and the reason, and nothing of the mail."""


def environment(load: Callable[[str], str | None]) -> Environment:
    """Return an engine for templates that passed `check`, with a limit of instructions as a second safeguard."""
    return Environment(
        loader=load,
        fuel=FUEL,
        undefined_behavior="strict",
        pycompat=False,
        trim_blocks=True,
        lstrip_blocks=True,
        debug=False,
    )


def render(engine: Environment, name: str, context: Mapping[str, Any]) -> str:
    """Render a template that may be a tenant's; raise RenderingError for every way in which it can fail."""
    try:
        return engine.render_template(name, **context)
    except TemplateError as error:
        raise RenderingError(f"{error.name or name}, line {error.line}: {error.kind}") from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise RenderingError(f"{name}: {type(error).__name__}") from None
    except BaseException as error:
        # A panic in minijinja is a BaseException whose class cannot be imported: `super()` in an included template is
        # one (3.0.5, observed 2026-11).
        if type(error).__module__ == "pyo3_runtime":
            raise RenderingError(f"{name}: the template engine failed") from None
        raise


def check(source: str, *, is_part: bool = False) -> None:
    """Raise NotAllowed if a template contains anything but what is listed here."""
    try:
        source.encode()
    except UnicodeEncodeError:
        raise NotAllowed("not valid Unicode") from None
    if len(source) > MAX_SOURCE_LENGTH:
        raise NotAllowed(f"longer than {MAX_SOURCE_LENGTH} characters")
    worst, loops, open_blocks, branches = 0, 0, 0, 0
    for literal, tag, tokens, line in _parts(source):
        cost, repeated = len(literal), MAX_LIST_LENGTH ** max(0, loops)
        try:
            if tag == "{{":
                _check_expression(tokens, may_call_super=not (loops or is_part))
                cost += MAX_VALUE_LENGTH
            elif tag == "{%":
                verb = _check_statement(tokens)
                if (is_part and verb in NOT_IN_PARTS) or (loops and verb in ("include", "block")):
                    raise NotAllowed(f"`{verb}` may not stand here")
                loops += (verb == "for") - (verb == "endfor")
                branches += verb == "elif"
                open_blocks += (verb in ("if", "for", "block")) - (verb in ("endif", "endfor", "endblock"))
        except NotAllowed as error:
            raise NotAllowed(f"line {line}: {error}") from None
        if branches > MAX_BRANCHES:
            raise NotAllowed(f"line {line}: more than {MAX_BRANCHES} times `elif`")
        if not 0 <= open_blocks <= MAX_DEPTH:
            raise NotAllowed(f"line {line}: blocks nested deeper than {MAX_DEPTH}, or closed before they were opened")
        worst += cost * repeated
    if worst > MAX_OUTPUT_LENGTH:
        raise NotAllowed("its loops could write more than fits in a mail")


def _parts(source: str) -> Iterator[tuple[str, str, list[tuple[str, str]], int]]:
    """Yield each stretch of text with the tag that follows it, the tag's tokens and its line."""
    at = 0
    while match := OPEN.search(source, at):
        literal, tag, line = source[at : match.start()], match[0], source.count("\n", 0, match.start()) + 1
        tokens: list[tuple[str, str]] = []
        if tag == "{#":
            at = source.find("#}", match.end()) + 2
            if at < 2:
                raise NotAllowed(f"line {line}: a comment without an end")
        else:
            at = match.end() + source.startswith(("-", "+"), match.end())
            while True:
                token = TOKEN.match(source, at)
                if not token:
                    raise NotAllowed(f"line {line}: `{source[at:].lstrip()[:1]}` is not allowed in tenants' templates")
                if len(tokens) > MAX_TAG_TOKENS:
                    raise NotAllowed(f"line {line}: a tag of more than {MAX_TAG_TOKENS} words")
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
            # A text is iterable too, by its letters; so only variables that are known to be short lists are allowed.
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
            raise NotAllowed(f"`{verb}` is not allowed in tenants' templates, or not in this form")
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
            raise NotAllowed(f"the filter `{text}` is not allowed in tenants' templates")
        if before == "is" and text not in TESTS and text != "not":
            raise NotAllowed(f"the test `{text}` is not allowed in tenants' templates")
        if text == "|" and after not in FILTERS:
            raise NotAllowed("a filter's name must follow `|`")
