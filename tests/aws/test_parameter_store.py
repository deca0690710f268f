"""The cache of SSM parameters, against a stand-in for SSM that counts calls, fails and hangs in virtual time."""

from collections.abc import Mapping
from typing import Any

import pytest

from mailroom.aws.client import TIMEOUT_SECONDS, Aws, AwsError
from mailroom.aws.parameter_store import (
    ABSENCE_TTL_SECONDS,
    CACHE_TTL_SECONDS,
    MAX_ATTEMPTS,
    MAX_UNKNOWN_LOOKUPS,
    PAGES_PER_REQUEST,
    REFRESH_INTERVAL_SECONDS,
    RETRY_SECONDS,
    UNCACHED_RETRY_SECONDS,
    ParameterStore,
)
from mailroom.errors import ConfigurationError, DeliveryError, TemporaryFailure
from tests.factories import Clock

ROOT = "/mailroom/staging/"
KEY, SENDER, BRAND = "providers/resend/api_key", "senders/default/auth", "brands/default"
HOOKS = "webhooks/logto"
TIMEOUT = TemporaryFailure("ssm", "TimeoutError")
DENIED = ConfigurationError("ssm", "AccessDeniedException")
FAILURES = [
    pytest.param(TIMEOUT, id="hanging"),
    pytest.param(TemporaryFailure("ssm", "ThrottlingException"), id="throttled"),
    pytest.param(DENIED, id="denied"),
    pytest.param(ConfigurationError("ssm", "ExpiredTokenException"), id="expired-credentials"),
    pytest.param(AwsError("ssm", "ValidationException", {}), id="refused"),
]


class Ssm(Aws):
    """SSM in virtual time; `failure` is what a call meets while it is set, and TIMEOUT takes its time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("eu-west-1")
        self.clock = clock
        self.parameters: dict[str, str] = {}
        self.failure: DeliveryError | None = None
        self.calls: list[list[str]] = []  # the names or the path of each attempt

    def call(
        self, service: str, operation: str, payload: Mapping[str, Any], *, attempts: int = MAX_ATTEMPTS
    ) -> dict[str, Any]:
        assert service == "ssm"
        names = payload.get("Names") or [payload.get("Path") or payload["Name"]]
        for _ in range(attempts if isinstance(self.failure, TemporaryFailure) else 1):
            self.calls.append([name.removeprefix(ROOT) for name in names])
            if self.failure is TIMEOUT:
                self.clock.now += TIMEOUT_SECONDS
        if self.failure:
            raise self.failure
        if operation == "PutParameter":
            if payload["Name"] in self.parameters:
                raise AwsError("ssm", "ParameterAlreadyExists", {})
            self.parameters[payload["Name"]] = payload["Value"]
            return {}
        if operation == "GetParametersByPath":
            below = sorted(name for name in self.parameters if name.startswith(f"{payload['Path']}/"))
            start = int(payload.get("NextToken", 0))
            token = {"NextToken": str(start + 10)} if start + 10 < len(below) else {}
            return {"Parameters": self._items(below[start : start + 10]), **token}
        return {"Parameters": self._items([name for name in names if name in self.parameters])}

    def set(self, name: str, value: str) -> None:
        self.parameters[ROOT + name] = value

    def remove(self, name: str) -> None:
        del self.parameters[ROOT + name]

    def _items(self, names: list[str]) -> list[dict[str, str]]:
        return [{"Name": name, "Value": self.parameters[name]} for name in names]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ssm(clock: Clock) -> Ssm:
    return Ssm(clock)


@pytest.fixture
def store(ssm: Ssm, clock: Clock) -> ParameterStore:
    return ParameterStore(ssm, ROOT, ("providers/",), clock)


def expire(clock: Clock) -> None:
    clock.now += CACHE_TTL_SECONDS + 1


def test_a_name_that_did_not_exist_is_looked_up_again_soon(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    assert not store.any_exists(SENDER, BRAND)
    ssm.set(BRAND, "{}")
    clock.now += ABSENCE_TTL_SECONDS
    assert not store.any_exists(SENDER, BRAND)
    clock.now += 1
    assert store.any_exists(SENDER, BRAND)
    clock.now += ABSENCE_TTL_SECONDS + 1
    assert store.any_exists(SENDER, BRAND)
    assert ssm.calls == [[SENDER, BRAND]] * 2


def test_while_ssm_fails_a_name_that_did_not_exist_still_does_not(
    store: ParameterStore, ssm: Ssm, clock: Clock
) -> None:
    store.any_exists(SENDER)
    ssm.failure = DENIED
    clock.now += ABSENCE_TTL_SECONDS + 1
    assert not store.any_exists(SENDER)


# ---- what is derived from values ----


def length_of(store: ParameterStore, name: str) -> int:
    """Return the length of a value, by a derivation that the store caches."""
    return store.derived(name, (name,), lambda: len(store.values(name).get(name, "")))


def test_a_value_is_parsed_once_while_it_is_cached(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    ssm.set(BRAND, "12345")
    texts: list[str] = []
    for _ in range(3):
        assert store.derived("brand", (BRAND,), lambda: texts.append(store.values(BRAND)[BRAND])) is None
        clock.now += CACHE_TTL_SECONDS / 2 - 1
    ssm.set(BRAND, "123")
    clock.now += 3
    store.derived("brand", (BRAND,), lambda: texts.append(store.values(BRAND)[BRAND]))
    assert texts == ["12345", "123"]


def test_what_is_derived_is_valid_as_long_as_its_oldest_value(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    ssm.set(SENDER, "1")
    store.values(SENDER)
    clock.now += CACHE_TTL_SECONDS - 1
    names = (SENDER, BRAND)
    assert store.derived("both", names, lambda: dict(store.values(*names))) == {SENDER: "1"}
    ssm.set(SENDER, "2")
    clock.now += 2
    assert store.derived("both", names, lambda: dict(store.values(*names))) == {SENDER: "2"}


def test_an_error_is_not_kept_as_what_was_derived(store: ParameterStore, ssm: Ssm) -> None:
    ssm.set(BRAND, "five!")
    with pytest.raises(ValueError, match="five!"):
        store.derived("brand", (BRAND,), lambda: int(store.values(BRAND)[BRAND]))
    assert store.derived("brand", (BRAND,), lambda: 5) == 5


def test_a_rejected_key_is_derived_again(store: ParameterStore, ssm: Ssm) -> None:
    ssm.set(KEY, "re_old")
    assert length_of(store, KEY) == 6
    ssm.set(KEY, "re_newer")
    store.refresh()
    assert length_of(store, KEY) == 8


def test_a_new_tenant_is_not_served_with_what_was_derived_before(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    store.any_exists(BRAND)
    assert length_of(store, BRAND) == 0
    ssm.set(BRAND, "{}")
    clock.now += ABSENCE_TTL_SECONDS + 1
    assert store.any_exists(BRAND)
    assert length_of(store, BRAND) == 2


def test_a_tree_that_is_read_renews_what_was_derived(store: ParameterStore, ssm: Ssm) -> None:
    ssm.set("brands/a", "1")
    assert length_of(store, "brands/a") == 1
    ssm.set("brands/a", "123")
    store.tree("brands")
    assert length_of(store, "brands/a") == 3


def test_a_parameter_that_a_tree_no_longer_has_is_not_derived_from(store: ParameterStore, ssm: Ssm) -> None:
    ssm.set("brands/a", "1")
    assert length_of(store, "brands/a") == 1
    ssm.remove("brands/a")
    store.tree("brands")
    assert length_of(store, "brands/a") == 0


# ---- while SSM fails ----


@pytest.mark.parametrize("failure", FAILURES)
def test_old_values_serve_while_ssm_fails(
    store: ParameterStore, ssm: Ssm, clock: Clock, failure: DeliveryError
) -> None:
    ssm.set(KEY, "re_1")
    ssm.set("api/keys/shop", "key")
    store.values(KEY, SENDER)
    store.tree("api/keys")
    ssm.failure = failure
    expire(clock)
    assert store.values(KEY, SENDER) == {KEY: "re_1"}
    assert store.tree("api/keys") == {"shop": "key"}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_recovered_ssm_is_read_within_the_retry_time(
    store: ParameterStore, ssm: Ssm, clock: Clock, failure: DeliveryError
) -> None:
    ssm.set(KEY, "re_1")
    store.values(KEY)
    ssm.failure = failure
    expire(clock)
    store.values(KEY)
    ssm.failure = None
    ssm.set(KEY, "re_2")
    clock.now += RETRY_SECONDS
    assert store.values(KEY) == {KEY: "re_2"}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_that_callers_do_not_notice_is_reported_once(
    store: ParameterStore, ssm: Ssm, clock: Clock, failure: DeliveryError
) -> None:
    store.values(KEY)
    ssm.failure = failure
    expire(clock)
    store.values(KEY)
    store.values(KEY)
    assert store.take_failures() == [failure]
    assert store.take_failures() == []
    clock.now += RETRY_SECONDS
    with pytest.raises(type(failure)):
        store.values(BRAND)
    assert store.take_failures() == []


def test_any_answer_of_ssm_ends_the_outage(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    ssm.set(KEY, "re_1")
    store.values(KEY)
    expire(clock)
    ssm.failure = TIMEOUT
    store.values(KEY)
    ssm.failure = None
    ssm.set(KEY, "re_2")
    clock.now += UNCACHED_RETRY_SECONDS
    store.values(BRAND)
    assert store.values(KEY) == {KEY: "re_2"}


def test_an_ssm_that_hangs_costs_one_attempt_per_retry_time_and_not_one_per_mail(
    store: ParameterStore, ssm: Ssm, clock: Clock
) -> None:
    ssm.set(KEY, "re_1")
    for name in (KEY, SENDER, BRAND):
        store.values(name)
    store.tree("api/keys")
    expire(clock)
    ssm.failure, start, calls = TIMEOUT, clock.now, len(ssm.calls)
    waited = 0.0
    for _ in range(60):
        before = clock.now
        for name in (KEY, SENDER, BRAND):
            store.values(name)
        store.tree("api/keys")
        waited += clock.now - before
        clock.now += 1
    elapsed = clock.now - start
    assert len(ssm.calls) - calls <= 1 + elapsed / RETRY_SECONDS
    assert waited <= TIMEOUT_SECONDS * (1 + elapsed / RETRY_SECONDS)


def test_a_first_read_is_attempted_more_than_once(store: ParameterStore, ssm: Ssm) -> None:
    ssm.failure = TIMEOUT
    with pytest.raises(TemporaryFailure):
        store.values(KEY)
    assert len(ssm.calls) == MAX_ATTEMPTS


@pytest.mark.parametrize("failure", FAILURES)
def test_requests_during_an_outage_are_answered_from_memory(
    store: ParameterStore, ssm: Ssm, clock: Clock, failure: DeliveryError
) -> None:
    ssm.failure = failure
    with pytest.raises(type(failure)):
        store.lookup(HOOKS, f"{HOOKS}/authorization")
    calls = len(ssm.calls)
    for number in range(500):
        with pytest.raises(type(failure)):
            store.lookup(HOOKS, f"{HOOKS}/tenant{number}/authorization")
    assert len(ssm.calls) == calls
    clock.now += UNCACHED_RETRY_SECONDS
    with pytest.raises(type(failure)):
        store.lookup(HOOKS, f"{HOOKS}/authorization")
    assert len(ssm.calls) == calls + 1


def test_a_missing_permission_for_one_area_does_not_keep_others_from_being_read(
    store: ParameterStore, ssm: Ssm
) -> None:
    ssm.set(SENDER, "{}")
    ssm.failure = DENIED
    with pytest.raises(ConfigurationError):
        store.values(KEY)
    ssm.failure = None
    assert store.values(SENDER) == {SENDER: "{}"}


def test_a_remembered_error_keeps_no_growing_traceback(store: ParameterStore, ssm: Ssm) -> None:
    ssm.failure = TIMEOUT
    depths = []
    for _ in range(3):
        with pytest.raises(TemporaryFailure) as raised:
            store.values(KEY)
        depths.append(len(raised.traceback))
    assert depths[1] == depths[2]


# ---- keys that a provider rejects ----


def test_a_rejected_key_is_read_at_once_but_not_for_each_mail(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    ssm.set(KEY, "re_old")
    store.values(KEY)
    ssm.set(KEY, "re_new")
    store.refresh()
    assert store.values(KEY) == {KEY: "re_new"}
    calls = len(ssm.calls)
    for _ in range(100):
        store.refresh()
        store.values(KEY)
    assert len(ssm.calls) == calls
    clock.now += REFRESH_INTERVAL_SECONDS
    store.refresh()
    store.values(KEY)
    assert len(ssm.calls) == calls + 1


def test_a_rejected_key_does_not_make_us_read_the_keys_of_our_callers(store: ParameterStore, ssm: Ssm) -> None:
    ssm.set("api/keys/shop", "key")
    store.tree("api/keys")
    store.refresh()
    store.tree("api/keys")
    assert ssm.calls == [["api/keys"]]


# ---- names that strangers choose ----


def test_up_to_fifty_tenants_a_strangers_name_causes_no_call(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    for number in range(PAGES_PER_REQUEST * 10):
        ssm.set(f"{HOOKS}/tenant{number:02}/authorization", f"secret {number}")
    assert store.lookup(HOOKS, f"{HOOKS}/tenant07/authorization") == "secret 7"
    assert ssm.calls == [[HOOKS]] * PAGES_PER_REQUEST
    for number in range(500):
        assert store.lookup(HOOKS, f"{HOOKS}/stranger{number}/authorization") == ""
    assert ssm.calls == [[HOOKS]] * PAGES_PER_REQUEST


@pytest.fixture
def thousand(ssm: Ssm) -> list[str]:
    """A thousand tenants' secrets."""
    names = [f"{HOOKS}/tenant{number:04}/authorization" for number in range(1000)]
    for name in names:
        ssm.set(name, f"secret of {name}")
    return names


def test_no_request_of_a_thousand_tenants_waits_for_many_calls(
    store: ParameterStore, ssm: Ssm, clock: Clock, thousand: list[str]
) -> None:
    for period in range(3):
        total = len(ssm.calls)
        for name in reversed(thousand):
            before = len(ssm.calls)
            assert store.lookup(HOOKS, name) == f"secret of {name}"
            assert len(ssm.calls) - before <= PAGES_PER_REQUEST + 1
        # At first each is read when it is needed; known ones are read ten at a time when they are stale.
        assert len(ssm.calls) - total <= (1000 + PAGES_PER_REQUEST if period == 0 else 100)
        expire(clock)


def test_strangers_cause_a_bounded_number_of_calls_however_many_names_they_try(
    store: ParameterStore, ssm: Ssm, clock: Clock, thousand: list[str]
) -> None:
    refused = 0
    for number in range(2000):
        try:
            assert store.lookup(HOOKS, f"{HOOKS}/stranger{number}/authorization") == ""
        except TemporaryFailure:
            refused += 1
    strange = [names for names in ssm.calls if "stranger" in names[0]]
    assert len(strange) == MAX_UNKNOWN_LOOKUPS
    assert len(ssm.calls) - len(strange) == 100  # the tree, once
    assert refused < 100 / PAGES_PER_REQUEST
    assert store.lookup(HOOKS, thousand[-1])
    assert len(ssm.calls) - len(strange) == 100


def test_a_tenant_that_was_not_read_yet_is_never_taken_for_a_stranger(
    store: ParameterStore, ssm: Ssm, thousand: list[str]
) -> None:
    for number in range(MAX_UNKNOWN_LOOKUPS):
        store.lookup(HOOKS, f"{HOOKS}/stranger{number}/authorization")
    with pytest.raises(TemporaryFailure):
        store.lookup(HOOKS, thousand[-1])
    for _ in range(100 // PAGES_PER_REQUEST):
        try:
            secret = store.lookup(HOOKS, thousand[-1])
        except TemporaryFailure:
            continue
        assert secret
    assert store.lookup(HOOKS, thousand[-1])


def test_a_new_tenant_is_found_in_the_next_period_whatever_strangers_tried(
    store: ParameterStore, ssm: Ssm, clock: Clock, thousand: list[str]
) -> None:
    for number in range(MAX_UNKNOWN_LOOKUPS):
        store.lookup(HOOKS, f"{HOOKS}/stranger{number}/authorization")
    expire(clock)
    assert store.lookup(HOOKS, thousand[-1])


def test_a_large_tree_that_shrank_is_read_as_a_whole_again(
    store: ParameterStore, ssm: Ssm, clock: Clock, thousand: list[str]
) -> None:
    store.lookup(HOOKS, thousand[0])
    for name in thousand[20:]:
        ssm.remove(name)
    for number in range(MAX_UNKNOWN_LOOKUPS + 1):
        try:
            store.lookup(HOOKS, f"{HOOKS}/stranger{number}/authorization")
        except TemporaryFailure:
            pass
    expire(clock)
    ssm.calls.clear()
    store.lookup(HOOKS, f"{HOOKS}/stranger/authorization")
    assert ssm.calls == [[HOOKS], [HOOKS]]


def test_a_known_tenant_is_served_while_strangers_try_names(
    store: ParameterStore, ssm: Ssm, thousand: list[str]
) -> None:
    store.lookup(HOOKS, thousand[-1])
    for number in range(2000):
        try:
            store.lookup(HOOKS, f"{HOOKS}/stranger{number}/authorization")
        except TemporaryFailure:
            pass
        assert store.lookup(HOOKS, thousand[-1])


def test_a_secret_that_was_removed_or_added_is_noticed_within_the_cache_time(
    store: ParameterStore, ssm: Ssm, clock: Clock, thousand: list[str]
) -> None:
    new = f"{HOOKS}/new/authorization"
    assert store.lookup(HOOKS, thousand[0])
    assert store.lookup(HOOKS, thousand[-1])
    assert not store.lookup(HOOKS, new)
    ssm.remove(thousand[0])
    ssm.remove(thousand[-1])
    ssm.set(new, "secret")
    expire(clock)
    assert not store.lookup(HOOKS, thousand[0])
    assert not store.lookup(HOOKS, thousand[-1])
    assert store.lookup(HOOKS, new) == "secret"


def test_a_large_tree_is_refreshed_by_several_requests(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    for number in range(1000):
        ssm.set(f"api/keys/key{number:04}", "old")
    assert len(store.tree("api/keys")) == 1000
    expire(clock)
    ssm.remove("api/keys/key0999")
    calls = len(ssm.calls)
    for request in range(1, 100 // PAGES_PER_REQUEST):
        assert "key0999" in store.tree("api/keys")
        assert len(ssm.calls) - calls == PAGES_PER_REQUEST * request
    assert len(store.tree("api/keys")) == 999
    assert len(ssm.calls) - calls == 100


def test_the_age_of_a_tree_is_that_of_its_first_page(store: ParameterStore, ssm: Ssm, clock: Clock) -> None:
    for number in range(PAGES_PER_REQUEST * 20):
        ssm.set(f"api/keys/key{number:04}", "key")
    store.tree("api/keys")
    expire(clock)
    store.tree("api/keys")
    ssm.remove("api/keys/key0000")
    clock.now += CACHE_TTL_SECONDS - 1
    assert "key0000" in store.tree("api/keys")
    clock.now += 2
    store.tree("api/keys")
    assert "key0000" not in store.tree("api/keys")


def test_a_tree_that_was_read_in_part_is_no_list_of_who_does_not_exist(store: ParameterStore, ssm: Ssm) -> None:
    for number in range(30):
        ssm.set(f"{HOOKS}/tenant{number:02}/authorization", "secret")
    answer = ssm.call

    def fail_at_the_second_page(service: str, operation: str, payload: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        if "NextToken" in payload:
            raise TIMEOUT
        return answer(service, operation, payload)

    ssm.call = fail_at_the_second_page  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(TemporaryFailure):
            store.lookup(HOOKS, f"{HOOKS}/tenant29/authorization")
    assert store.lookup(HOOKS, f"{HOOKS}/tenant03/authorization") == "secret"


def test_a_page_token_that_ssm_no_longer_accepts_restarts_the_reading(
    store: ParameterStore, ssm: Ssm, clock: Clock
) -> None:
    for number in range(100):
        ssm.set(f"api/keys/key{number:04}", "key")
    store.tree("api/keys")
    expire(clock)
    store.tree("api/keys")
    ssm.failure = AwsError("ssm", "InvalidNextToken", {})
    store.tree("api/keys")
    ssm.failure = None
    clock.now += RETRY_SECONDS
    calls = len(ssm.calls)
    store.tree("api/keys")
    store.tree("api/keys")
    assert len(ssm.calls) - calls == 10


# ---- parameters of our own ----


def test_a_parameter_that_cannot_be_created_is_not_tried_for_each_mail(store: ParameterStore, ssm: Ssm) -> None:
    assert not store.values("ledger/address_key")
    ssm.failure = DENIED
    for _ in range(100):
        with pytest.raises(ConfigurationError):
            store.create("ledger/address_key", "secret")
    assert len(ssm.calls) == 2


def test_a_concurrently_created_parameter_has_the_first_writers_value(store: ParameterStore, ssm: Ssm) -> None:
    assert not store.values("ledger/address_key")
    ssm.set("ledger/address_key", "first")
    assert store.create("ledger/address_key", "second") == "first"
