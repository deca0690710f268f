"""Histories written by hand, each about one behavior. Every rule must hold in each of them."""

from collections.abc import Mapping
from typing import Any

from tests.simulation.faults import Fault
from tests.simulation.history import History, Mail
from tests.simulation.scheduler import Interruption

__all__ = ["SCENARIOS"]

NOTICE = "organization-invitation"


def _mails(*groups: Mapping[str, Any]) -> tuple[Mail, ...]:
    """Return mails numbered in order: each group is `count` mails (one by default), `apart` seconds from each other."""
    mails: list[Mail] = []
    for group in groups:
        facts = dict(group)
        count, apart, at = facts.pop("count", 1), facts.pop("apart", 0.0), facts.pop("at", 0.0)
        mails += [Mail(len(mails) + n + 1, round(at + n * apart, 4), **facts) for n in range(count)]
    return tuple(mails)


def _kill(function: str, operation: str, *, at: float = 0.0, when: str = "after", count: int = 1) -> Interruption:
    return Interruption(function, at, "kill", when, count, operation)


def _history(name: str, *groups: Mapping[str, Any], seed: int | str = "", **rest: Any) -> tuple[str, History]:
    """Return a named history. `seed` where its interleaving matters."""
    return name, History(seed or name, _mails(*groups), **rest)


SCENARIOS: Mapping[str, History] = dict(
    [
        # ---- our own services are away ----
        _history(
            "a_minute_without_the_ledger_costs_nobody_a_code",
            {"at": 1.0, "count": 5, "apart": 0.5},
            {"at": 3.0, "kind": NOTICE},
            faults=(Fault("dynamodb", "error", 0.5, 60.0),),
        ),
        _history(
            "five_minutes_without_the_parameter_store_cost_nobody_a_code",
            {"at": 1.0, "count": 3, "apart": 0.5},
            {"at": 3.0, "kind": NOTICE},
            faults=(Fault("ssm", "down", 1.4, 300.0),),
        ),
        _history(
            "values_in_hand_are_used_while_the_parameter_store_hangs",
            {"at": 0.0},
            {"at": 330.0, "count": 4, "apart": 5.0},
            faults=(Fault("ssm", "hang", 301.0, 600.0),),
        ),
        _history(
            "values_in_hand_are_used_while_the_parameter_store_denies",
            {"at": 0.0},
            {"at": 330.0, "count": 4, "apart": 5.0},
            faults=(Fault("ssm", "denied", 301.0, 600.0),),
        ),
        _history(
            "packing_fails_and_nobody_waits_for_the_visibility_timeout",
            {"at": 0.0, "count": 80},
            faults=(Fault("sqs", "error", 0.0, 20.0, operation="ReceiveMessage"),),
        ),
        _history(
            "half_of_the_ledgers_answers_are_late_and_no_invocation_runs_out_of_time",
            *({"at": 1.0 + 2 * n, "count": 9, "tenant": ("globex", "umbrella")[n % 2]} for n in range(10)),
            faults=(Fault("dynamodb", "late", 0.9, 40.0, share=0.5),),
        ),
        _history(
            "a_burst_with_a_slow_ledger_runs_not_out_of_time",
            {"at": 1.0, "count": 100},
            seed="s0",
            faults=(Fault("dynamodb", "late", 0.9, 40.0, share=0.3),),
        ),
        _history(
            "an_outage_of_ledger_and_queues_multiplies_no_message",
            {"at": 0.0, "count": 3},
            faults=(Fault("dynamodb", "error", 0.5, 90.0), Fault("sqs", "late", 2.0, 60.0)),
        ),
        _history(
            "a_code_whose_claim_is_slow_does_not_leave_after_its_successor",
            {"at": 1.0, "tenant": "initech", "to": "ada@example.net", "route": "inline"},
            {"at": 1.4, "tenant": "initech", "to": "ada@example.net", "route": "inline", "supersedes": True},
            seed="x43",
            faults=(Fault("dynamodb", "hang", 0.9, 30.0, share=0.4, operation="UpdateItem"),),
        ),
        # ---- a caller states which codes a new one replaces ----
        _history(
            "a_code_that_replaces_all_before_it_is_the_last_to_arrive",
            {"at": 1.0, "to": "ada@example.net", "route": "queued"},
            {"at": 6.0, "to": "ada@example.net", "route": "queued", "supersedes": True},
            faults=(Fault("resend", "error_before", 0.0, 12.0),),
        ),
        _history(
            "a_code_that_replaces_none_leaves_older_ones_alive",
            {"at": 1.0, "to": "ada@example.net", "route": "queued"},
            {"at": 41.0, "to": "ada@example.net", "route": "queued", "supersedes": False},
            faults=(Fault("resend", "error_before", 0.0, 50.0),),
        ),
        # ---- one mail must not harm others ----
        _history(
            "a_mail_that_cannot_be_rendered_takes_nobody_along",
            {"at": 0.0},
            {"at": 5.0, "count": 30, "apart": 0.001},
            {"at": 5.005, "tenant": "broken", "count": 4, "apart": 0.01},
            {"at": 5.02, "count": 30, "apart": 0.001},
        ),
        _history(
            "a_burst_through_a_slow_provider_delays_no_other_tenant",
            {"at": 0.0, "tenant": "default"},
            {"at": 5.0, "tenant": "umbrella", "count": 400, "apart": 0.001},
            {"at": 6.0, "tenant": "default"},
            faults=(Fault("postmark", "slow", 0.0, 400.0, seconds=1.5),),
            providers="ses",
        ),
        _history(
            "a_hanging_relay_delays_no_other_tenant",
            {"at": 0.0, "tenant": "default"},
            {"at": 5.0, "tenant": "slow", "count": 20, "apart": 0.06},
            {"at": 5.4, "tenant": "default", "count": 8, "apart": 0.2},
            faults=(Fault("smtp.slow", "hang", 0.0, 400.0),),
            providers="ses",
        ),
        _history(
            "a_burst_of_tenants_with_and_without_batch_calls_closes_no_gate",
            {"at": 0.0, "tenant": "default", "count": 60, "apart": 0.002},
            {"at": 0.001, "tenant": "globex", "count": 60, "apart": 0.002},
            {"at": 90.0, "tenant": "globex", "count": 3, "apart": 1.0},
        ),
        # ---- one account of a chain is well: nobody waits for the others, alone or in a batch ----
        *(
            _history(
                f"a_burst_fails_over_from_an_account_that_{name}",
                {"at": 1.0, "tenant": "default"},
                {"at": 10.0, "tenant": "stark", "count": 30, "apart": 0.001},
                {"at": 60.0, "tenant": "stark", "count": 4, "apart": 0.001},
                faults=(Fault("resend", kind, 5.0, 400.0, seconds=5.0),),
            )
            for name, kind in (
                ("refuses_connections", "refused"),
                ("cannot_be_reached", "connect_timeout"),
                ("hangs", "hang"),
                ("fails", "error_before"),
                ("is_over_its_rate", "rate_limit"),
                ("is_busy", "busy"),
                ("refuses_its_key", "bad_key"),
                ("is_over_its_quota", "quota"),
                ("takes_mails_and_fails", "error_after"),
                ("takes_mails_and_does_not_answer", "no_answer"),
            )
        ),
        # ---- too many copies ----
        _history(
            "a_relay_gets_at_most_two_copies_through_four_crashes",
            {"at": 0.0, "tenant": "umbrella"},
            interruptions=tuple(_kill("deliver", "postmark send") for _ in range(4)),
        ),
        _history(
            "a_relay_gets_at_most_two_copies_while_the_last_write_fails",
            {"at": 0.0, "tenant": "umbrella"},
            faults=(Fault("dynamodb", "error", 0.0, 200.0, containing="ended"),),
        ),
        _history(
            "a_provider_id_that_is_too_long_for_a_key_costs_no_copies",
            {"at": 0.0, "tenant": "umbrella"},
            faults=(Fault("postmark", "long_id", 0.0, 300.0),),
        ),
        _history(
            "a_burst_that_is_cut_short_is_sent_once_through_resend",
            {"at": 0.0, "count": 40},
            faults=(Fault("resend", "refused", 8.0, 130.0),),
            interruptions=(_kill("deliver", "resend batch"),),
        ),
        _history(
            "a_batch_that_is_taken_without_an_answer_is_sent_once",
            {"at": 0.0, "count": 40},
            faults=(
                Fault("resend", "no_answer", 0.0, 25.0, operation="batch"),
                Fault("resend", "rate_limit", 25.0, 60.0, seconds=30.0),
            ),
        ),
        _history(
            "a_mail_whose_last_write_failed_is_sent_once_in_a_later_batch",
            {"at": 0.0, "count": 10},
            {"at": 120.0, "count": 60, "apart": 0.01},
            interruptions=tuple(_kill("deliver", "resend send") for _ in range(10)),
        ),
        _history(
            "a_message_that_sqs_hands_out_twice_is_in_a_batch_once",
            {"at": 0.0, "count": 120},
            duplicates=0.5,
        ),
        _history(
            "a_mail_that_joins_its_batch_late_is_sent_too",
            {"at": 0.0, "count": 6},
            {"at": 5.0},
            {"at": 5.1, "count": 80, "apart": 0.004},
            interruptions=(_kill("deliver", "resend send", at=5.0, when="before"),),
            duplicates=0.5,
            seed=2,
        ),
        # ---- expiry, and codes for one recipient ----
        _history(
            "an_older_code_that_hangs_does_not_leave_after_its_successor",
            {"at": 0.0, "tenant": "initech", "to": "again@example.net"},
            {"at": 48.0, "tenant": "initech", "to": "again@example.net"},
            faults=(
                Fault("smtp", "refused", 0.0, 44.0),
                Fault("resend", "refused", 0.0, 44.0),
                Fault("smtp", "hang", 44.0, 60.0, operation="send", count=1),
            ),
        ),
        _history(
            "a_code_does_not_leave_after_it_has_expired_while_a_provider_hung",
            {"at": 0.0, "tenant": "initech", "route": "inline", "expires_in": 3.0},
            faults=(Fault("smtp", "hang", 0.0, 60.0),),
        ),
        _history(
            "two_tabs_get_both_their_codes",
            *({"at": 10.0 * n, "count": 2, "apart": 0.0, "to": f"tabs-{n}@example.net"} for n in range(10)),
        ),
        _history(
            "a_code_whose_provider_stumbles_is_not_dropped_for_another_tab",
            {"at": 0.0, "count": 2, "apart": 0.01},
            {"at": 5.0, "to": "tabs@example.net"},
            {"at": 5.5, "to": "tabs@example.net"},
            faults=(Fault("resend", "error_before", 4.0, 5.4),),
        ),
        # ---- a code that its reader requests again ----
        _history(
            "a_code_that_is_requested_again_goes_to_the_next_provider",
            *({"at": 60.0 * n, "tenant": "stark", "to": "again@example.net"} for n in range(3)),
        ),
        _history(
            "a_code_whose_predecessor_was_delivered_goes_to_the_first_provider",
            {"at": 0.0, "tenant": "stark", "to": "again@example.net", "events": (("delivered", 2.0),)},
            {"at": 60.0, "tenant": "stark", "to": "again@example.net"},
        ),
        _history(
            "a_code_that_is_requested_again_leaves_its_batch",
            {"at": 0.0, "tenant": "stark", "count": 20, "to": ""},
            {"at": 1.0, "tenant": "stark", "to": "again@example.net"},
            {"at": 62.0, "tenant": "stark", "count": 40, "apart": 0.001},
            {"at": 62.01, "tenant": "stark", "to": "again@example.net"},
        ),
        # ---- rescue of a code that does not arrive ----
        _history(
            "a_code_without_a_report_is_rescued_once_and_a_delivered_one_is_not",
            {"at": 0.0, "tenant": "wayne", "count": 3, "apart": 1.0},
            {"at": 5.0, "tenant": "wayne", "count": 3, "apart": 1.0, "events": (("delivered", 4.0),)},
            {"at": 10.0, "tenant": "wayne", "kind": NOTICE},
            {"at": 11.0, "tenant": "stark"},
        ),
        _history(
            "a_deferred_code_is_rescued_at_once",
            {"at": 0.0, "tenant": "wayne", "events": (("deferred", 1.0), ("delivered", 300.0))},
            {"at": 1.0, "tenant": "wayne", "events": (("soft", 1.0),)},
        ),
        _history(
            "a_code_that_expires_or_is_replaced_is_not_rescued",
            {"at": 0.0, "tenant": "wayne", "route": "queued", "expires_in": 20.0},
            {"at": 5.0, "tenant": "wayne", "to": "again@example.net", "route": "queued"},
            {"at": 20.0, "tenant": "wayne", "to": "again@example.net", "route": "queued", "supersedes": True},
        ),
        _history(
            "a_rescue_that_is_cut_short_leaves_at_most_two_copies",
            {"at": 0.0, "tenant": "wayne", "count": 4, "apart": 1.0},
            interruptions=(
                _kill("deliver", "resend send", at=20.0),
                _kill("deliver", "resend send", at=26.0, when="before"),
                _kill("deliver", "dynamodb", at=27.0, count=3),
            ),
            duplicates=0.5,
        ),
        _history(
            "a_rescue_whose_provider_refuses_is_tried_again",
            {"at": 0.0, "tenant": "wayne", "count": 2, "apart": 1.0},
            faults=(Fault("resend", "rate_limit", 20.0, 60.0, seconds=1.0),),
        ),
        # ---- what the ledger says ----
        _history(
            "a_mail_that_a_provider_has_is_not_recorded_as_skipped",
            {"at": 0.0, "route": "queued", "expires_in": 15.0},
            faults=(Fault("resend", "no_answer", 0.0, 1.2), Fault("dynamodb", "error", 7.6, 16.0)),
        ),
        _history(
            "an_older_code_that_a_provider_has_is_not_recorded_as_superseded",
            {"at": 0.0, "tenant": "default", "to": "again@example.net"},
            {"at": 31.0, "tenant": "default", "to": "again@example.net"},
            faults=(
                Fault("resend", "no_answer", 0.0, 1.0),
                Fault("resend", "error_before", 1.0, 31.0),
            ),
        ),
        _history(
            "a_caller_who_waits_is_not_left_in_doubt_by_a_provider_that_knows_our_key",
            {"at": 0.0, "route": "inline", "with_key": True},
            faults=(Fault("resend", "error_before", 0.0, 25.0),),
        ),
        _history(
            "a_caller_who_asks_again_after_a_crash_is_not_told_of_a_mail_that_nobody_sends",
            {"at": 0.0, "route": "inline", "with_key": True},
            interruptions=(_kill("send", "resend send", when="before"),),
        ),
        # ---- recovery ----
        _history(
            "a_code_leaves_soon_after_its_provider_is_well_again",
            {"at": 0.0, "count": 3, "apart": 0.5},
            faults=(Fault("resend", "refused", 0.0, 130.0),),
        ),
        _history(
            "codes_of_a_dead_provider_leave_soon_after_it_is_well_again",
            {"at": 0.0, "count": 30, "apart": 1.0, "tenant": "umbrella"},
            faults=(Fault("postmark", "refused", 0.0, 300.0),),
        ),
    ]
)
