"""The merge of a tenant's settings with the default's, and where each key comes from."""

import pytest

from mailroom.model.json_settings import InvalidSetting, merge
from mailroom.model.parameter_names import brand_names, sender_names
from mailroom.model.sender import provider_chain, read_mailbox

VALUES = {
    "senders/default/auth": '{"from": "no-reply@example.com", "providers": ["resend", "ses"]}',
    "senders/acme/auth": '{"from": "hi@acme.example"}',
    "senders/acme/notification": '{"reply_to": 5}',
}


def test_a_key_comes_from_the_most_specific_setting_that_has_it() -> None:
    merged = merge(sender_names("acme", "notification"), VALUES)
    assert merged.values["from"] == "hi@acme.example"
    assert merged.origins == {
        "from": "senders/acme/auth",
        "providers": "senders/default/auth",
        "reply_to": "senders/acme/notification",
    }


def test_a_faulty_key_is_reported_with_the_setting_that_contains_it() -> None:
    with pytest.raises(InvalidSetting, match="reply_to must be a text") as invalid:
        read_mailbox(merge(sender_names("acme", "notification"), VALUES), "reply_to")
    assert invalid.value.name == "senders/acme/notification"


def test_a_chain_that_is_one_word_is_not_read_as_a_list_of_letters() -> None:
    with pytest.raises(InvalidSetting, match="providers must be a list"):
        provider_chain(merge(["senders/default/auth"], {"senders/default/auth": '{"providers": "resend"}'}), ())


def test_a_setting_that_is_no_json_object_contributes_nothing() -> None:
    merged = merge(brand_names("acme"), {"brands/default": '{"name": "Everyone"}', "brands/acme": "Acme"})
    assert merged.values == {"name": "Everyone"}
    assert merged.malformed == ("brands/acme",)


def test_the_default_tenant_inherits_from_nobody_twice() -> None:
    assert sender_names("default", "auth") == ("senders/default/auth",)
    assert brand_names("default") == ("brands/default",)
