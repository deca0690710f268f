"""The choice of a mail's language: from the recipient's tags and the available languages."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache

__all__ = ["negotiate"]


# CLDR's parents: https://github.com/unicode-org/cldr/blob/main/common/supplemental/supplementalData.xml
LATIN_AMERICAN_SPANISH = tuple(
    f"es-{region}"
    for region in "ar bo br bz cl co cr cu do ec gt hn mx ni pa pe pr py sv us uy ve".split()  # noqa: SIM905
)

# Tags that mean another language than their base: scripts, old names, close relatives.
ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("zh-hant-hk", "zh-hant-mo", "zh-mo", "yue"), "zh-hk"),
    **dict.fromkeys(("zh-hant",), "zh-tw"),
    **dict.fromkeys(("zh-hans", "zh-sg", "zh-my"), "zh-cn"),
    **dict.fromkeys(("pt-ao", "pt-mz", "pt-cv", "pt-gw", "pt-st", "pt-tl", "pt-mo", "pt-ch", "pt-lu"), "pt-pt"),
    **dict.fromkeys(("no", "nn"), "nb"),
    **dict.fromkeys(LATIN_AMERICAN_SPANISH, "es-419"),
    **dict.fromkeys(("sr-me", "sh"), "sr-latn"),
    "in": "id",
    "iw": "he",
    "prs": "fa",
    "tl": "fil",
}
# The default region of a language that is only available by region.
SIBLINGS: Mapping[str, str] = {"fa": "fa-ir", "pl": "pl-pl", "pt": "pt-br", "tr": "tr-tr", "uk": "uk-ua", "zh": "zh-cn"}


def negotiate(preferred: Iterable[str], available: Collection[str], default: str = "en") -> str:
    """Return the first available language: for each tag itself, then its base, then another region of the base."""
    tags = _by_lower_case(frozenset(available))
    for tag in (*preferred, default):
        for candidate in _candidates(tag, tags):
            if candidate in tags:
                return tags[candidate]
    return "en"


@lru_cache(maxsize=64)  # each mail chooses from the same few sets
def _by_lower_case(available: frozenset[str]) -> Mapping[str, str]:
    return {tag.lower(): tag for tag in available}


def _candidates(tag: str, available: Iterable[str]) -> Iterator[str]:
    parts = tag.replace("_", "-").lower().split("-")
    for length in range(len(parts), 0, -1):
        shorter = "-".join(parts[:length])
        yield shorter
        if alias := ALIASES.get(shorter):
            yield from _candidates(alias, available)
    yield SIBLINGS.get(parts[0], "")
    yield from sorted(other for other in available if other.partition("-")[0] == parts[0])
