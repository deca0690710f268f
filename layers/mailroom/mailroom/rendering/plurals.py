"""The plural category of a whole number: the cardinal rules of CLDR for the built-in languages.

https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html. The rules for fractions and for
whole millions are left out: minutes, hours and days are never that many.
"""

from collections.abc import Callable, Mapping

__all__ = ["category"]


def _other(n: int) -> str:
    return "other"


def _one(n: int) -> str:
    return "one" if n == 1 else "other"


def _zero_or_one(n: int) -> str:
    return "one" if n in (0, 1) else "other"


def _two(n: int) -> str:
    return "two" if n == 2 else _one(n)


def _czech(n: int) -> str:
    return "few" if 2 <= n <= 4 else _one(n)


def _polish(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _east_slavic(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _serbo_croatian(n: int) -> str:
    category = _east_slavic(n)
    return "other" if category == "many" else category


def _slovenian(n: int) -> str:
    return {1: "one", 2: "two", 3: "few", 4: "few"}.get(n % 100, "other")


def _lithuanian(n: int) -> str:
    if n % 10 == 0 or 11 <= n % 100 <= 19:
        return "other"
    return "one" if n % 10 == 1 else "few"


def _latvian(n: int) -> str:
    if n % 10 == 0 or 11 <= n % 100 <= 19:
        return "zero"
    return "one" if n % 10 == 1 else "other"


def _filipino(n: int) -> str:
    return "other" if n % 10 in (4, 6, 9) else "one"


def _romanian(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if n == 0 or 1 <= n % 100 <= 19 else "other"


def _arabic(n: int) -> str:
    if n <= 2:
        return ("zero", "one", "two")[n]
    return "few" if 3 <= n % 100 <= 10 else "many" if n % 100 >= 11 else "other"


RULES: Mapping[str, Callable[[int], str]] = {
    **dict.fromkeys(("id", "ja", "ko", "ms", "th", "vi", "zh"), _other),
    **dict.fromkeys(("bn", "fa", "fr", "hi", "pt"), _zero_or_one),
    **dict.fromkeys(("cs", "sk"), _czech),
    **dict.fromkeys(("ru", "uk"), _east_slavic),
    **dict.fromkeys(("hr", "sr"), _serbo_croatian),
    "ar": _arabic,
    "fil": _filipino,
    "he": _two,
    "lt": _lithuanian,
    "lv": _latvian,
    "pl": _polish,
    "pt-PT": _one,
    "ro": _romanian,
    "sl": _slovenian,
}


def category(locale: str, n: int) -> str:
    """Return zero, one, two, few, many or other; a language without a rule here has those of English."""
    rule = RULES.get(locale) or RULES.get(locale.partition("-")[0], _one)
    return rule(n)
