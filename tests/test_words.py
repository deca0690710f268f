"""Plain technical English: a short list of words that hide what they mean, each with the terms to use instead."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Parts of names, in any case: `said`, `_said`, `SaidValue` and `what_was_said` are all `said`.
NAMES: Mapping[str, str] = {
    "said": "the noun of the content: text, message, value, answer",
    "told": "the noun of the content: variables, settings, notice",
    "heard": "event, effect, response",
    "says": "text, message, summary",
    "held": "value, item, in_flight, leased",
    "wanted": "expected, requested, target, query",
    "wish": "spec",
    "desk": "client, stub, context",
    "crate": "batch",
    "door": "endpoint, service, handler",
    "takeover": "import",
    "foreign": "untrusted, cross-origin",
}
# Parts of names that are allowed, with the reason.
ALLOWED_NAMES: Mapping[str, str] = {
    "front_door": "the local stack's reverse proxy, a term of the field",
    "FrontDoor": "its class",
}
# Anywhere in code, templates and documentation, across line ends.
PHRASES: Mapping[str, str] = {
    r"what became of": "delivery status, outcome",
    r"what (comes|came) of": "result",
    r"what (is|was) said": "content, request data",
    r"what (it|they|he|she) says?": "content, value",
    r"what stands": "content, value",
    r"who asked": "caller",
    r"whom? to ask": "name the person or the page",
    r"(says|tells|say|tell) (so|what|which|who|whose|whether|how)\b": "contains, states, reports, and the noun",
    r"is (said|told)\b": "is stated, is reported, receives",
    r"to be said": "content",
    r"as good as": "treated as",
    r"hears\b": "receives",
    r"speaks\b": "supports, concerns",
    r"takes over": "imports, continues",
    r"as it should": "name the expected state",
    r"(behaviour|favour|honour|neighbour|organis|recognis|normalis|initialis)\w*": "American spelling",
}
# First words of docstrings: a function's begins with a technical verb, a class's and a module's with a noun.
OPENINGS: Mapping[str, str] = {
    **dict.fromkeys(("Tell", "Say"), "Return, Print, Log, Test whether"),
    **dict.fromkeys(("What", "Who", "Whose", "Where", "Which", "How"), "the noun that it stands for"),
    "Let": "Allow, Set, Start, and the verb itself",
}
SUFFIXES = {".py", ".md", ".html", ".toml", ".yaml", ".yml", ".js", ".ts", ".css", ".dart", ".go", ".php"}
FOLDERS = (".github", "bench", "clients", "docs", "functions", "layers", "ops", "tests")
# Beside what is generated: locales and languages, the sentences of mails in their readers' words.
GENERATED = {"node_modules", "__pycache__", ".aws-sam", "locales", "languages"}

# A search of the text is a tenth of the work of a parser, which then finds out whether a hit counts.
ANY_NAME = re.compile("|".join(NAMES), re.IGNORECASE)
ANY_OPENING = re.compile(rf'"""(?:{"|".join(OPENINGS)})\b')
ANY_PHRASE = re.compile(rf"\b(?:{'|'.join(PHRASES)})", re.IGNORECASE)
TEST_NAME = re.compile(r"^def (test_\w+)", re.MULTILINE)
MAX_TEST_NAME_LENGTH = 80
VERBS_OF_SPEECH = {"said", "told", "heard", "hears", "says", "tells"}
NAME_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def files() -> Iterator[Path]:
    """Yield the files that people write and read."""
    for path in [*ROOT.glob("*"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]:
        if path.suffix in SUFFIXES and path.is_file() and not GENERATED & set(path.parts) and path != Path(__file__):
            yield path


def banned_names(source: str) -> Iterator[str]:
    if not ANY_NAME.search(source):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and (hint := hint_for(token.string)):
            yield f"line {token.start[0]}: the name `{token.string}`; better: {hint}"


@cache
def hint_for(name: str) -> str:
    """Return better words for a banned part of a name; empty if it has none."""
    parts = [] if name.startswith("test_") else NAME_PART.findall(re.sub("|".join(ALLOWED_NAMES), "", name))
    return next((hint for part in parts if (hint := NAMES.get(part.lower()))), "")


def banned_phrases(text: str) -> Iterator[str]:
    line = re.sub(r"\s+(#\s+)?", " ", text)
    if not ANY_PHRASE.search(line):
        return
    for phrase, hint in PHRASES.items():
        for match in re.finditer(rf"\b{phrase}", line, re.IGNORECASE):
            context = line[max(0, match.start() - 30) : match.end() + 30]
            yield f"`…{context}…`; better: {hint}"


def banned_openings(source: str) -> Iterator[str]:
    if not ANY_OPENING.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node) or ""
            if hint := OPENINGS.get(docstring.partition(" ")[0].rstrip(",:;")):
                yield f"the docstring `{docstring.splitlines()[0]}`; better: {hint}"


def banned(path: Path) -> list[str]:
    """Return every use of a banned word in a file."""
    text = path.read_text("utf-8")
    code = [*banned_names(text), *banned_openings(text)] if path.suffix == ".py" else []
    return [*code, *banned_phrases(text)]


def test_names_phrases_and_docstrings_use_plain_terms() -> None:
    uses = [f"{path.relative_to(ROOT)}: {use}" for path in sorted(files()) for use in banned(path)]
    assert not uses, "\n".join(uses)


def test_a_tests_name_is_one_short_sentence_in_plain_terms() -> None:
    tests = [path.read_text("utf-8") for path in files() if path.name.startswith("test_") and path.suffix == ".py"]
    names = [name for test in tests for name in TEST_NAME.findall(test)]
    assert [name for name in names if len(name) > MAX_TEST_NAME_LENGTH] == []
    assert [name for name in names if VERBS_OF_SPEECH & set(name.split("_"))] == []
    assert [use for name in names for use in banned_phrases(name.replace("_", " "))] == []


@pytest.mark.parametrize(
    "source", ["said = 1", "class WishList: ...", "x.heard_of(1)", "def f(*, _told): ...", "DESKS_OF_DESK = 1"]
)
def test_a_banned_name_is_found(source: str) -> None:
    assert list(banned_names(source))


@pytest.mark.parametrize(
    "source", ["outsaid = aside = 1", "# said\nx = 'said'", "_open_front_door = household = FrontDoor()"]
)
def test_other_names_are_not_banned(source: str) -> None:
    assert not list(banned_names(source))


def test_a_banned_phrase_is_found_across_lines() -> None:
    assert list(banned_phrases("# Know what became\n    # of a mail."))
    assert not list(banned_phrases("The delivery status of a mail."))


def test_a_banned_opening_of_a_docstring_is_found() -> None:
    assert list(banned_openings('def f():\n    """What it is."""'))
    assert not list(banned_openings('def f():\n    """Return a status: what it is."""'))
