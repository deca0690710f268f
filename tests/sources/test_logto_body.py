"""The fields of Logto's request, against the same declaration in pydantic."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mailroom.errors import RequestError
from mailroom.sources.logto import Body


class Declared(BaseModel):
    """The fields as pydantic reads them strictly."""

    model_config = ConfigDict(extra="ignore", strict=True)

    to: str
    type: str = Field(min_length=1, max_length=64)
    payload: dict[str, Any] | None = None
    ip: str | None = Field(default=None, max_length=64)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
texts = st.text(max_size=5) | st.text(min_size=60, max_size=70)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "to": texts | values,
        "type": texts | values,
        "payload": st.dictionaries(st.text(max_size=4), values, max_size=2) | values,
        "ip": texts | values,
        "other": values,
    },
)


@settings(deadline=None, max_examples=500)
@given(body=bodies | values)
@example(body={"to": "a", "type": "x" * 64, "payload": {}, "ip": "x" * 64})
@example(body={"to": "a", "type": "x" * 65})
@example(body={"to": "a", "type": "b", "ip": "x" * 65})
@example(body={"to": "a", "type": "é" * 64})
@example(body={})
@example(body=[])
def test_a_body_is_read_as_strictly_as_by_pydantic(body: Any) -> None:
    try:
        declared = Declared.model_validate(body)
    except ValidationError as error:
        field = (*error.errors()[0]["loc"], "body")[0]
        with pytest.raises(RequestError, match=f"^The field {field} is missing or not of the right type.$"):
            Body.read(body)
    else:
        read = Body.read(body)
        assert (read.to, read.type) == (declared.to, declared.type)
        assert (read.payload, read.ip) == (declared.payload or {}, declared.ip or "")
