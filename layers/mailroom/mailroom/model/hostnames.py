"""Hostnames in ASCII, as DNS, URLs and mail servers carry them."""

__all__ = ["to_ascii"]


def to_ascii(host: str) -> str:
    """Return a hostname in ASCII, as a browser would resolve it; raise ValueError for one that cannot be.

    An ASCII hostname is returned as it is: whoever needs a strict one matches the result.
    """
    if host.isascii():
        return host
    # Python's own "idna" codec implements IDNA 2003: straße.de becomes strasse.de, another owner's domain. Browsers use
    # UTS 46 without transitional processing (Chrome since 110, February 2023). Imported only here: it costs a
    # cold start 5 ms, and most hosts are ASCII.
    import idna

    return idna.encode(host, uts46=True).decode()
