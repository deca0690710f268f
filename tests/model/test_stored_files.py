"""Files in a parameter: as they were, in the characters that SSM accepts, and never more than a mail may need."""

import base64
import json
import re
import zlib

import pytest

from mailroom.model.stored_files import MAX_UNPACKED_BYTES, pack, unpack

FILES = {"texts.toml": '[common]\nhelp = "Hilfe gefällig? 🙂"', "emails/a.html": "{{ code.text }}" * 500}


def packed(text: bytes) -> str:
    return "1:" + base64.b64encode(zlib.compress(text)).decode()


def test_files_come_back_as_they_were() -> None:
    assert unpack(pack(FILES)) == FILES
    assert unpack(pack({})) == {}


def test_a_value_is_accepted_by_the_parameter_store_and_depends_on_the_files_alone() -> None:
    assert re.fullmatch(r"[A-Za-z0-9+/=:]+", pack(FILES))
    assert pack(dict(reversed(FILES.items()))) == pack(FILES)
    assert len(pack(FILES)) < 300


@pytest.mark.parametrize(
    "value",
    [
        "",
        "{}",
        "2:abc",
        "1:",
        "1:not base64",
        pack(FILES)[:-8],
        packed(b"no json"),
        packed(b"[]"),
        packed(b'{"a": 1}'),
        packed(b"\xff"),
        packed(b"[" * 100_000),
        packed(json.dumps({"a": "0" * MAX_UNPACKED_BYTES}).encode()),
    ],
)
def test_any_other_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"it was not written by|it is damaged"):
        unpack(value)
