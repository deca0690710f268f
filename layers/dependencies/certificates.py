"""Write each certificate of a bundle to a file of its own, under the name by which OpenSSL looks for it.

usage: certificates.py BUNDLE FOLDER

OpenSSL then reads the one authority that a server's certificate names, where it would read all of them at each cold
start, for 20 ms. The name is a hash of the subject in canonical form (X509_NAME_hash of OpenSSL 1.0 and later), as by
`openssl rehash`, which not every machine that builds has.
"""

import hashlib
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
SEQUENCE, SET, UTF8, VERSION = 0x30, 0x31, 0x0C, 0xA0
# The types of a text, and their encodings: UTF8String, PrintableString, T61String, IA5String, VisibleString,
# UniversalString, BMPString.
TEXTS = {
    UTF8: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


def split(bundle: Path, folder: Path) -> None:
    """Write the certificates of a bundle into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for text in CERTIFICATE.findall(bundle.read_text(encoding="utf-8")):
        name = subject_hash(ssl.PEM_cert_to_DER_cert(text))
        number = sum(1 for _ in folder.glob(f"{name}.*"))  # two authorities may have one subject
        (folder / f"{name}.{number}").write_text(text, encoding="utf-8")


def subject_hash(certificate: bytes) -> str:
    """Return the hash of a certificate's subject, as OpenSSL writes it."""
    ((_, whole),) = elements(certificate)
    (_, signed), *_ = elements(whole)
    fields = [value for tag, value in elements(signed) if tag != VERSION]
    subject = fields[4]  # after the serial number, the algorithm, the issuer and the validity
    digest = hashlib.sha1(b"".join(canonical(names) for _, names in elements(subject)), usedforsecurity=False).digest()
    return digest[3::-1].hex()


def canonical(names: bytes) -> bytes:
    """Return a part of a subject with its texts in UTF-8, in lower case, and with single spaces."""
    parts = []
    for _, name in elements(names):
        (type_tag, type_), (tag, value) = elements(name)
        if tag in TEXTS:
            text = b" ".join(value.decode(TEXTS[tag]).encode().split())
            tag, value = UTF8, text.lower()  # of bytes: the letters of ASCII only
        parts.append(element(SEQUENCE, element(type_tag, type_) + element(tag, value)))
    return element(SET, b"".join(sorted(parts)))


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the value of each DER element."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length > 0x7F:
            size = length - 0x80
            length, at = int.from_bytes(data[at : at + size]), at + size
        yield tag, data[at : at + length]
        at += length


def element(tag: int, value: bytes) -> bytes:
    """Return a DER element."""
    size = len(value)
    if size < 0x80:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 + len(length)]) + length + value


if __name__ == "__main__":
    split(Path(sys.argv[1]), Path(sys.argv[2]))
