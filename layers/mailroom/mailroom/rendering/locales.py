"""Which of the languages we have a reader gets, from the tags somebody asked for."""

from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["negotiate"]


# What a tag means where it is not simply its own base: scripts, old names, close relatives.
ALIASES: Mapping[str, str] = {
    **dict.fromkeys(("zh-hant-hk", "zh-hant-mo", "zh-mo", "yue"), "zh-hk"),
    **dict.fromkeys(("zh-hant",), "zh-tw"),
    **dict.fromkeys(("zh-hans", "zh-sg", "zh-my"), "zh-cn"),
    **dict.fromkeys(("pt-ao", "pt-mz", "pt-cv", "pt-gw", "pt-st", "pt-tl", "pt-mo", "pt-ch", "pt-lu"), "pt-pt"),
    **dict.fromkeys(("no", "nn"), "nb"),
    "in": "id",
    "iw": "he",
    "prs": "fa",
}
# Who answers for a language that is only there by its regions.
SIBLINGS: Mapping[str, str] = {"fa": "fa-ir", "pl": "pl-pl", "pt": "pt-br", "tr": "tr-tr", "uk": "uk-ua", "zh": "zh-cn"}


def negotiate(wanted: Iterable[str], available: Collection[str], default: str = "en") -> str:
    """Return the first language of `wanted` that is there: as asked for, else its base, else a sibling of the base."""
    known = {tag.lower(): tag for tag in available}
    for tag in (*wanted, default):
        for candidate in _candidates(tag, known):
            if candidate in known:
                return known[candidate]
    return "en"


def _candidates(tag: str, known: Iterable[str]) -> Iterator[str]:
    parts = tag.replace("_", "-").lower().split("-")
    for length in range(len(parts), 0, -1):
        shorter = "-".join(parts[:length])
        yield shorter
        if alias := ALIASES.get(shorter):
            yield from _candidates(alias, known)
    yield SIBLINGS.get(parts[0], "")
    yield from sorted(other for other in known if other.partition("-")[0] == parts[0])
