"""DynamoDB's update, condition and key expressions, parsed once and evaluated over items in DynamoDB's own JSON."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

__all__ = ["Change", "Invalid", "Item", "Names", "Predicate", "condition", "update"]

Value = dict[str, Any]
Item = dict[str, Value]
Names = tuple[tuple[str, str], ...]  # placeholder and name
Values = Mapping[str, Value]
Path = tuple[str | int, ...]
Operand = Callable[[Item, Values], Value | None]
Predicate = Callable[[Item, Values], bool]
Change = Callable[[Item, Values], Item]

TOKEN = re.compile(r"\s*(?:([#:]\w+|[A-Za-z_]\w*)|(\d+)|(<>|<=|>=|[=<>(),.\[\]+-]))")
ORDERED = ("S", "N", "B")
FUNCTIONS = ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size")


class Invalid(Exception):
    """DynamoDB would answer with a ValidationException."""


@lru_cache(4096)
def condition(text: str, names: Names) -> Predicate:
    """Compile a condition, filter or key condition expression."""
    parser = _Parser(text, names)
    predicate = parser.any_of()
    parser.end()
    return predicate


@lru_cache(4096)
def update(text: str, names: Names) -> Change:
    """Compile an update expression to a function that returns the new item."""
    return _Parser(text, names).update()


class _Parser:
    def __init__(self, text: str, names: Names) -> None:
        self.names = dict(names)
        self.tokens: list[str] = []
        place = 0
        text = text.rstrip()
        while place < len(text):
            match = TOKEN.match(text, place)
            if match is None:
                raise Invalid(f"Syntax error near {text[place : place + 10]!r}")
            self.tokens.append(match[match.lastindex or 0])
            place = match.end()
        self.place = 0
        self.groups: dict[int, int] = {}  # of each pair of parentheses, the places before and after it

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, *expected: str) -> str:
        token = self.peek()
        if not token or (expected and token.upper() not in expected):
            raise Invalid(f"Syntax error near {token!r}")
        self.place += 1
        return token

    def takes(self, *expected: str) -> bool:
        if self.peek().upper() in expected:
            self.place += 1
            return True
        return False

    def end(self) -> None:
        if self.peek():
            raise Invalid(f"Syntax error near {self.peek()!r}")

    # conditions

    def any_of(self) -> Predicate:
        parts = [self.all_of()]
        while self.takes("OR"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else lambda i, v: any(part(i, v) for part in parts)

    def all_of(self) -> Predicate:
        parts = [self.negation()]
        while self.takes("AND"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else lambda i, v: all(part(i, v) for part in parts)

    def negation(self) -> Predicate:
        if self.takes("NOT"):
            inner = self.negation()
            return lambda i, v: not inner(i, v)
        if self.peek() == "(":
            self.take("(")
            start = self.place
            inner = self.any_of()
            if self.groups.get(start) == self.place:
                raise Invalid("The expression has redundant parentheses")
            self.take(")")
            self.groups[start - 1] = self.place
            return inner
        return self.comparison()

    def comparison(self) -> Predicate:
        if self.peek() in FUNCTIONS and self.peek() != "size":
            return self.function()
        left = self.operand()
        if self.takes("BETWEEN"):
            low = self.operand()
            self.take("AND")
            high = self.operand()
            return lambda i, v: _less_or_equal(low(i, v), left(i, v)) and _less_or_equal(left(i, v), high(i, v))
        if self.takes("IN"):
            self.take("(")
            options = [self.operand()]
            while self.takes(","):
                options.append(self.operand())
            self.take(")")
            return lambda i, v: any(_equal(left(i, v), option(i, v)) for option in options)
        operator = self.take("=", "<>", "<", "<=", ">", ">=")
        right = self.operand()
        compare = COMPARISONS[operator]
        return lambda i, v: compare(left(i, v), right(i, v))

    def function(self) -> Predicate:
        name = self.take()
        self.take("(")
        if name in ("attribute_exists", "attribute_not_exists"):
            path = self.path()
            self.take(")")
            exists = name == "attribute_exists"
            return lambda i, v: (_get(i, path) is not None) is exists
        first = self.operand()
        self.take(",")
        second = self.operand()
        self.take(")")
        test = {"begins_with": _begins_with, "contains": _contains, "attribute_type": _is_type}[name]
        return lambda i, v: test(first(i, v), second(i, v))

    def operand(self) -> Operand:
        if self.peek() == "size":
            self.take()
            self.take("(")
            path = self.path()
            self.take(")")
            return lambda i, v: _size(_get(i, path))
        if self.peek().startswith(":"):
            return self.value()
        path = self.path()
        if len(path) == 1:
            name = str(path[0])
            return lambda i, v: i.get(name)
        return lambda i, v: _get(i, path)

    def value(self) -> Operand:
        name = self.take()

        def read(item: Item, values: Values) -> Value:
            if name not in values:
                raise Invalid(f"An expression attribute value used in expression is not defined: {name}")
            return values[name]

        return read

    def path(self) -> Path:
        token = self.take()
        if not re.fullmatch(r"#\w+|[A-Za-z_]\w*", token):
            raise Invalid(f"Syntax error near {token!r}")
        parts: list[str | int] = [self.named(token)]
        while self.peek() in (".", "["):
            if self.take() == ".":
                parts.append(self.named(self.take()))
            else:
                parts.append(int(self.take()))
                self.take("]")
        return tuple(parts)

    def named(self, token: str) -> str:
        if token[0] == "#" and token not in self.names:
            raise Invalid(f"An expression attribute name used in the document path is not defined: {token}")
        return self.names.get(token, token)

    # updates

    def update(self) -> Change:
        steps: list[tuple[str, Path, Operand | None]] = []
        seen = set()
        while self.peek():
            clause = self.take("SET", "REMOVE", "ADD", "DELETE").upper()
            if clause in seen:
                raise Invalid(f"The {clause} section can only be used once in an update expression")
            seen.add(clause)
            while True:
                path = self.path()
                operand: Operand | None = None
                if clause == "SET":
                    self.take("=")
                    operand = self.sum()
                elif clause in ("ADD", "DELETE"):
                    operand = self.value()
                steps.append((clause, path, operand))
                if not self.takes(","):
                    break

        paths = [path for _, path, _ in steps]
        if len({path[0] for path in paths}) < len(paths) and _do_overlap(paths):
            raise Invalid("Two document paths overlap with each other")

        def apply(item: Item, values: Values) -> Item:
            changed = dict(item)
            for clause, path, operand in steps:
                value = operand and operand(item, values)  # from the item as it was before
                if clause == "SET" and value is None:
                    raise Invalid("The provided expression refers to an attribute that does not exist in the item")
                _change(changed, clause, path, value)
            return changed

        return apply

    def sum(self) -> Operand:
        left = self.term()
        if self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            right = self.term()
            return lambda i, v: _sum(left(i, v), right(i, v), sign)
        return left

    def term(self) -> Operand:
        if self.peek() == "if_not_exists":
            self.take()
            self.take("(")
            path = self.path()
            self.take(",")
            other = self.term()
            self.take(")")

            def read(item: Item, values: Values) -> Value | None:
                found = _get(item, path)
                return other(item, values) if found is None else found

            return read
        if self.peek() == "list_append":
            self.take()
            self.take("(")
            first = self.term()
            self.take(",")
            second = self.term()
            self.take(")")
            return lambda i, v: _append(first(i, v), second(i, v))
        return self.operand()


def _do_overlap(paths: list[Path]) -> bool:
    return any(
        path[: len(other)] == other or other[: len(path)] == path
        for number, path in enumerate(paths)
        for other in paths[number + 1 :]
    )


def _get(item: Item, path: Path) -> Value | None:
    value: Any = item.get(str(path[0]))
    for part in path[1:]:
        if value is None:
            return None
        if isinstance(part, int):
            entries: list[Any] | None = value.get("L")
            value = entries[part] if entries is not None and part < len(entries) else None
        else:
            value = value["M"].get(part) if "M" in value else None
    found: Value | None = value
    return found


def _change(item: Item, clause: str, path: Path, value: Value | None) -> None:
    """Change an attribute of an item, and copy what is above it: other items may share that."""
    parent: Any = item
    for part in path[:-1]:
        inner = parent.get(part) if isinstance(part, str) else (parent[part] if part < len(parent) else None)
        kind = next(iter(inner)) if inner else ""
        if inner is None or kind not in ("M", "L"):
            raise Invalid("The document path provided in the update expression is invalid for update")
        copy = inner[kind].copy()
        parent[part] = {kind: copy}
        parent = copy
    last = path[-1]
    if isinstance(last, int):
        if not isinstance(parent, list):
            raise Invalid("The document path provided in the update expression is invalid for update")
        if clause == "REMOVE":
            del parent[last : last + 1]
        elif last < len(parent):
            parent[last] = value
        else:
            parent.append(value)
        return
    old = parent.get(last)
    match clause:
        case "SET":
            parent[last] = value
        case "REMOVE":
            parent.pop(last, None)
        case "ADD" if value is not None:
            parent[last] = _added(old, value)
        case "DELETE" if value is not None and old is not None:
            (kind,) = value
            if kind not in ("SS", "NS", "BS") or kind not in old:
                raise Invalid("Type mismatch for attribute to update")
            left = [member for member in old[kind] if member not in value[kind]]
            if left:
                parent[last] = {kind: left}
            else:
                del parent[last]


def _added(old: Value | None, value: Value) -> Value:
    (kind,) = value
    if kind not in ("N", "SS", "NS", "BS"):
        raise Invalid(f"Incorrect operand type for operator or function; operator: ADD, operand type: {kind}")
    if old is None:
        return value
    if kind not in old:
        raise Invalid("An operand in the update expression has an incorrect data type")
    if kind == "N":
        return _sum(old, value, 1)
    return {kind: [*old[kind], *(member for member in value[kind] if member not in old[kind])]}


def _sum(left: Value | None, right: Value | None, sign: int) -> Value:
    if left is None or right is None:
        raise Invalid("The provided expression refers to an attribute that does not exist in the item")
    if "N" not in left or "N" not in right:
        raise Invalid("An operand in the update expression has an incorrect data type")
    number = Decimal(left["N"]) + sign * Decimal(right["N"])
    return {"N": str(int(number)) if number == number.to_integral_value() else str(number.normalize())}


def _append(first: Value | None, second: Value | None) -> Value:
    if first is None or second is None:
        raise Invalid("The provided expression refers to an attribute that does not exist in the item")
    if "L" not in first or "L" not in second:
        raise Invalid("An operand in the update expression has an incorrect data type")
    return {"L": [*first["L"], *second["L"]]}


def _plain(value: Value) -> tuple[str, Any]:
    ((kind, inner),) = value.items()
    if kind == "N":
        return kind, Decimal(inner)
    if kind in ("SS", "BS"):
        return kind, frozenset(inner)
    if kind == "NS":
        return kind, frozenset(map(Decimal, inner))
    if kind == "L":
        return kind, [_plain(entry) for entry in inner]
    if kind == "M":
        return kind, {name: _plain(entry) for name, entry in inner.items()}
    return kind, inner


def _equal(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and _plain(left) == _plain(right)


def _ordered(left: Value | None, right: Value | None) -> tuple[Any, Any] | None:
    if left is None or right is None:
        return None
    (kind, first), (other, second) = _plain(left), _plain(right)
    if kind != other or kind not in ORDERED:
        return None
    return (first.encode(), second.encode()) if kind == "S" else (first, second)


def _less(left: Value | None, right: Value | None) -> bool:
    pair = _ordered(left, right)
    return pair is not None and pair[0] < pair[1]


def _less_or_equal(left: Value | None, right: Value | None) -> bool:
    pair = _ordered(left, right)
    return pair is not None and pair[0] <= pair[1]


COMPARISONS: Mapping[str, Callable[[Value | None, Value | None], bool]] = {
    "=": _equal,
    "<>": lambda left, right: not _equal(left, right),
    "<": _less,
    "<=": _less_or_equal,
    ">": lambda left, right: _less(right, left),
    ">=": lambda left, right: _less_or_equal(right, left),
}


def _size(value: Value | None) -> Value | None:
    if value is None:
        return None
    ((kind, inner),) = value.items()
    if kind in ("N", "BOOL", "NULL"):
        return None
    return {"N": str(len(inner.encode()) if kind == "S" else len(inner))}


def _begins_with(value: Value | None, prefix: Value | None) -> bool:
    return value is not None and prefix is not None and "S" in value and value["S"].startswith(prefix["S"])


def _contains(value: Value | None, part: Value | None) -> bool:
    if value is None or part is None:
        return False
    if "S" in value:
        return "S" in part and part["S"] in value["S"]
    if "L" in value:
        return any(_equal(member, part) for member in value["L"])
    ((kind, members),) = value.items()
    ((other, member),) = part.items()
    return kind in ("SS", "NS", "BS") and kind[0] == other and member in members


def _is_type(value: Value | None, kind: Value | None) -> bool:
    return value is not None and kind is not None and kind.get("S") in value
