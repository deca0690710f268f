"""The list of mutants: each breaks one guarantee, and names the tests that must notice it."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["MUTANTS", "Mutant", "StaleMutant"]

ROOT = Path(__file__).parents[2]
PACKAGE = "layers/mailroom/mailroom"
BATCH, BATCHES = f"{PACKAGE}/delivery/batch.py", f"{PACKAGE}/delivery/batches.py"
BATCH_REQUESTS, CONSUMER = f"{PACKAGE}/delivery/batch_requests.py", f"{PACKAGE}/delivery/consumer.py"
DELIVER, DISPATCH = f"{PACKAGE}/delivery/deliver.py", f"{PACKAGE}/delivery/dispatch.py"
RESCUE = f"{PACKAGE}/delivery/rescue.py"
GATE, RETRY, SEAL = f"{PACKAGE}/delivery/gate.py", f"{PACKAGE}/delivery/retry.py", f"{PACKAGE}/delivery/seal.py"
TABLE, QUEUE = f"{PACKAGE}/ledger/table.py", f"{PACKAGE}/aws/queue.py"
RECIPIENTS, LIMITS = f"{PACKAGE}/ledger/recipients.py", f"{PACKAGE}/model/limits.py"
BRAND, LOGTO = f"{PACKAGE}/rendering/brand.py", f"{PACKAGE}/sources/logto.py"
AUTHENTICATION = f"{PACKAGE}/webhooks/authentication.py"
STANDARD_WEBHOOKS = f"{PACKAGE}/webhooks/standard_webhooks.py"
JSON_WEB_SIGNATURES = f"{PACKAGE}/webhooks/json_web_signatures.py"
SOURCE, ENTRA = f"{PACKAGE}/sources/source.py", f"{PACKAGE}/sources/entra.py"
HANKO = f"{PACKAGE}/sources/hanko.py"

TEST_BATCHES, TEST_CONSUMER = "tests/delivery/test_batches.py", "tests/delivery/test_consumer.py"
TEST_BATCH_REQUESTS = "tests/delivery/test_batch_requests.py"
TEST_DELIVER, TEST_DISPATCH = "tests/delivery/test_deliver.py", "tests/delivery/test_dispatch.py"
TEST_RESCUE, TEST_HABITS = "tests/delivery/test_rescue.py", "tests/ledger/test_habits.py"
TEST_ASKED_AGAIN = "tests/delivery/test_asked_again.py"
TEST_RECIPIENTS = "tests/ledger/test_recipients.py"
TEST_PARALLEL = "tests/delivery/test_parallel.py"
TEST_GATE, TEST_TABLE = "tests/delivery/test_gate.py", "tests/ledger/test_table.py"
TEST_EVENTS = "tests/ledger/test_events.py"
TEST_RENDERED = "tests/delivery/test_rendered.py"


class StaleMutant(Exception):
    """The text that a mutant replaces is not in its file exactly once: the code has changed, the list has not."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage: in `path`, `old` becomes `new`. At least one of `tests` must fail with it."""

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, source: str) -> str:
        """Return the source of the file with the breakage in it."""
        number = source.count(self.old)
        if number != 1 or self.old == self.new:
            raise StaleMutant(f"the list is stale: {self.name!r} replaces a text that {self.path} has {number} times")
        return source.replace(self.old, self.new)


def _scenario(name: str) -> str:
    return f"tests/simulation/test_histories.py::test_every_rule_holds_in[{name}]"


MUTANTS = (
    # ---- which message may leave ----
    Mutant(
        "a code of one tenant supersedes another tenant's",
        RECIPIENTS,
        "json.dumps([tenant, address])",
        "json.dumps([address])",
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "a code supersedes one that is a second older",
        f"{PACKAGE}/model/message.py",
        "REPLACES_AFTER_SECONDS = 30.0",
        "REPLACES_AFTER_SECONDS = 0.0",
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "a request is repeated with another key although its checks are old",
        DISPATCH,
        "return self.clock() - started <= RECHECK_SECONDS",
        "return self.clock() >= started",
        (f"{TEST_DISPATCH}::test_a_key_that_is_rejected_slowly_is_read_anew_for_the_next_attempt_only",),
    ),
    Mutant(
        "a batch is repeated with another key although its checks are old",
        DISPATCH,
        "            if not self._may_repeat(started):\n                raise\n",
        "            self._may_repeat(started)\n",
        (f"{TEST_DISPATCH}::test_a_batch_whose_key_is_rejected_slowly_is_not_repeated_at_once",),
    ),
    Mutant(
        "a retry is sent although a newer code replaced it",
        DELIVER,
        "            if check.reason:\n                outcome = replace(dead(",
        "            if not parcel.email and check.reason:\n                outcome = replace(dead(",
        (f"{TEST_CONSUMER}::test_a_retry_of_a_replaced_code_is_not_sent",),
    ),
    Mutant(
        "a retry is sent although it expired",
        DELIVER,
        "if message.expires_at <= self.clock():\n            return dead(",
        "if not parcel.email and message.expires_at <= self.clock():\n            return dead(",
        (f"{TEST_CONSUMER}::test_an_expired_retry_is_skipped_also_while_its_gate_is_closed",),
    ),
    Mutant(
        "expiry is not checked before the next provider",
        DELIVER,
        'return "expired" if min(message.expires_at for message in messages) <= self.clock() else ""',
        'return ""',
        (f"{TEST_CONSUMER}::test_a_code_that_expires_while_the_first_provider_hangs_goes_to_no_second",),
    ),
    Mutant(
        "a newer code is not looked for before the next provider",
        DELIVER,
        "                return Standing.SUPERSEDED\n",
        '                return ""\n',
        (f"{TEST_CONSUMER}::test_a_code_that_is_replaced_while_the_first_provider_hangs_goes_to_no_second",),
    ),
    Mutant(
        "a slow claim is followed by no second look",
        DELIVER,
        "return self.outdated((message,), checked_at)\n            return self._permit",
        'return ""\n            return self._permit',
        (_scenario("a_code_whose_claim_is_slow_does_not_leave_after_its_successor"),),
    ),
    Mutant(
        "slow checks of a batch are followed by no second look",
        BATCH_REQUESTS,
        "if not may_leave or delivery.outdated(messages, checked_at) or delivery.clock() > latest:",
        "if not may_leave or delivery.clock() > latest:",
        (f"{TEST_BATCHES}::test_a_mail_that_becomes_outdated_while_its_batch_is_checked_is_left_out",),
    ),
    Mutant(
        "a batch that comes back loses a message that was claimed alone",
        BATCHES,
        "                sender.enqueue_alone(parcel, attempt=0)\n            elif",
        "                pass\n            elif",
        (f"{TEST_BATCHES}::test_a_returning_batch_loses_no_message_that_was_claimed_alone",),
    ),
    Mutant(
        "a process that was frozen sends a request that was called off",
        BATCH_REQUESTS,
        "may_leave = self.decide(request, key) == key",
        "may_leave = bool(self.decide(request, key))",
        (f"{TEST_BATCHES}::test_a_process_that_was_frozen_sends_no_request_that_was_called_off",),
    ),
    Mutant(
        "a request that never left is repeated, with a code that was replaced",
        BATCHES,
        "decision = sender.decide(request, CALLED_OFF)",
        'decision = ""',
        (f"{TEST_BATCHES}::test_a_request_that_never_left_takes_no_replaced_code_along",),
    ),
    Mutant(
        "a copy with a part of a request repeats that part under another key",
        BATCHES,
        'elif decision in ("", request.key(parcels)):',
        "elif decision != CALLED_OFF:",
        (f"{TEST_BATCHES}::test_a_copy_with_a_part_of_a_request_does_not_repeat_it",),
    ),
    Mutant(
        "the record of a refused request stays, and with it the mails that still name it",
        BATCH_REQUESTS,
        "            self.decide(request, CALLED_OFF, instead_of=request.key(members))\n"
        "            self._set_free(parcels, token, outcome)\n",
        "            self._set_free(parcels, token, outcome)\n",
        (f"{TEST_BATCHES}::test_the_mails_of_a_refused_request_are_free_although_its_process_dies",),
    ),
    # ---- an account in trouble, while another is well ----
    Mutant(
        "a batch waits for its account, however long that is in trouble",
        BATCH_REQUESTS,
        "return now + wait - oldest <= PATIENCE_SECONDS + SECONDS_ALONE * len(mails)",
        "return True",
        (f"{TEST_BATCH_REQUESTS}::test_a_burst_fails_over_from_an_account_that_stays_in_trouble",),
    ),
    Mutant(
        "a batch fails over at once",
        BATCH_REQUESTS,
        "return now + wait - oldest <= PATIENCE_SECONDS + SECONDS_ALONE * len(mails)",
        "return False",
        (f"{TEST_BATCH_REQUESTS}::test_young_mails_wait_for_the_account_that_takes_them_all_at_once",),
    ),
    Mutant(
        "in a long burst, batches leave an account that accepts a request each tenth of a second",
        BATCH_REQUESTS,
        "gate.is_accepting(now, PATIENCE_SECONDS) or ",
        "",
        (f"{TEST_BATCH_REQUESTS}::test_old_mails_wait_for_an_account_that_limits_its_rate_and_accepts_others",),
    ),
    Mutant(
        "an account that may have a mail from a batch is asked for it alone",
        DISPATCH,
        "if account == parcel.batch_account:",
        "if False:",
        (f"{TEST_DISPATCH}::test_an_account_that_may_have_the_mail_from_a_batch_is_not_asked_again",),
    ),
    Mutant(
        "the end of a request in doubt is not recorded, and a part of it is repeated",
        BATCH_REQUESTS,
        "        self.decide(request, DISSOLVED, instead_of=request.key(members))\n",
        "",
        (f"{TEST_BATCH_REQUESTS}::test_a_request_is_dissolved_through_a_crash_at_each_step",),
    ),
    Mutant(
        "a mail whose parcel was lost in a crash forgets the request that it was in",
        BATCHES,
        'sender.enqueue_alone(parcel, doubts=tuple(row.get("offered", ())))',
        "sender.enqueue_alone(parcel)",
        (f"{TEST_BATCH_REQUESTS}::test_a_request_is_dissolved_through_a_crash_at_each_step",),
    ),
    Mutant(
        "mails without another account share a request with those that have one",
        BATCHES,
        "(ready.chain[0], len(ready.chain) > 1)",
        "(ready.chain[0], True)",
        (f"{TEST_BATCH_REQUESTS}::test_mails_without_another_account_do_not_hold_up_those_with_one",),
    ),
    Mutant(
        "one expired mail ends all others of its request",
        BATCH_REQUESTS,
        "is_hopeless = has_expired or (is_closed and",
        "is_hopeless = (is_closed and",
        (f"{TEST_BATCH_REQUESTS}::test_an_expired_mail_of_a_request_in_doubt_takes_no_other_along",),
    ),
    Mutant(
        "after a bad key a mail leaves without another check",
        DISPATCH,
        "if reason := permit(account, offered):",
        "if account not in refreshed and (reason := permit(account, offered)):",
        (f"{TEST_DISPATCH}::test_a_mail_that_may_not_leave_any_more_is_not_offered_again_after_a_bad_key",),
    ),
    Mutant(
        "a request starts although the ledger has left no time for it",
        DISPATCH,
        "                break  # the ledger took the time that was left\n",
        "                pass\n",
        (f"{TEST_DISPATCH}::test_no_request_starts_for_which_the_ledger_has_left_no_time",),
    ),
    Mutant(
        "a rescue that runs out of time is forgotten",
        RESCUE,
        "            _enqueue(delivery, parcel, outcome.retry_in or 0.0)\n",
        "            pass\n",
        (f"{TEST_RESCUE}::test_a_rescue_that_runs_out_of_time_is_checked_again",),
    ),
    Mutant(
        "a burst is put back while the queue does not take the copy of its batch",
        CONSUMER,
        "            return singles  # one by one, which needs no queue\n",
        "            self._note_outage(error)\n            return singles\n",
        (f"{TEST_CONSUMER}::test_a_burst_leaves_one_by_one_while_the_queue_is_away",),
    ),
    Mutant(
        "a burst that meets an outage waits for the leases of its batch",
        CONSUMER,
        "            yield from self._repeat_soon(first)\n",
        "",
        (f"{TEST_CONSUMER}::test_a_burst_that_meets_an_outage_is_repeated_soon",),
    ),
    Mutant(
        "the newest of several codes is not recorded before the first is sent",
        CONSUMER,
        "        self._mark_newest(singles)\n",
        "",
        (f"{TEST_CONSUMER}::test_an_older_code_that_arrives_with_its_successor_is_not_sent",),
    ),
    Mutant(
        "a code that is requested again goes to the provider of the first one",
        f"{PACKAGE}/delivery/chain.py",
        "return (*chain[place:], *chain[:place])",
        "return tuple(chain)",
        (f"{TEST_ASKED_AGAIN}::test_a_code_that_is_requested_again_goes_to_the_next_provider_first",),
    ),
    Mutant(
        "a code goes to another provider although its predecessor was delivered",
        TABLE,
        "(None, Status.SKIPPED, Status.DELIVERED, Status.COMPLAINED)",
        "(None, Status.SKIPPED, Status.COMPLAINED)",
        (f"{TEST_ASKED_AGAIN}::test_a_code_whose_predecessor_was_delivered_goes_to_the_first_provider",),
    ),
    Mutant(
        "a code beside another session's goes to another provider",
        RECIPIENTS,
        ' or stored["created"] > message.dead_before:\n        return ""',
        ':\n        return ""',
        (f"{TEST_ASKED_AGAIN}::test_another_code_is_not_one_that_is_requested_again",),
    ),
    Mutant(
        "a code is rescued twice",
        TABLE,
        "(attribute_not_exists(#rescued) OR #rescued = :nobody OR #rescue_claim = :rescue)",
        "(#rescued <> :nobody OR #rescued = :nobody OR attribute_not_exists(#rescued) OR #rescue_claim = :rescue)",
        (f"{TEST_RESCUE}::test_of_two_processes_that_rescue_a_code_one_may_send_it",),
    ),
    Mutant(
        "a code that was in doubt is rescued",
        DELIVER,
        "            if progress.is_certain:\n",
        "            if progress:\n",
        (f"{TEST_RESCUE}::test_a_code_that_was_in_doubt_is_not_rescued",),
    ),
    Mutant(
        "a provider that reports badly causes copies",
        f"{PACKAGE}/ledger/habits.py",
        "health.sent >= MIN_SENT and health.delivered_within(seconds) >= MIN_SHARE",
        "health.sent >= MIN_SENT",
        (f"{TEST_RESCUE}::test_a_provider_that_does_not_normally_report_causes_no_copy",),
    ),
    Mutant(
        "mail that is held up since a moment ago takes its provider's habit away",
        f"{PACKAGE}/ledger/habits.py",
        "recent = now - RECENT_SECONDS",
        "recent = now",
        (f"{TEST_HABITS}::test_mail_that_is_held_up_for_seconds_takes_no_habit_away",),
    ),
    Mutant(
        "a replaced code is rescued",
        RESCUE,
        "        if reason := delivery.outdated((message,)):\n            return reason\n",
        "",
        (f"{TEST_RESCUE}::test_an_expired_or_replaced_code_is_not_rescued",),
    ),
    Mutant(
        "a bounce of one copy hides the delivery of the other",
        TABLE,
        """    return bool(row.get("rescued")) or all(entry.get("how") for entry in bounces)
""",
        """    return all(entry.get("how") for entry in bounces)
""",
        (f"{TEST_RESCUE}::test_the_delivery_of_a_second_copy_counts_whenever_the_first_one_bounced",),
    ),
    Mutant(
        "a mail that is not sent is answered sooner",
        f"{PACKAGE}/api/pace.py",
        "return max(0.0, usual - elapsed)",
        "return 0.0",
        ("tests/api/test_outcomes.py::test_a_mail_that_is_not_sent_is_answered_as_late_as_one_that_is",),
    ),
    Mutant(
        "a repeated code is sent twice where another one came between",
        RECIPIENTS,
        """{**stored.get("earlier", {}), stored["message"]: _code(stored)}""",
        """{stored["message"]: _code(stored)}""",
        (f"{TEST_RECIPIENTS}::test_the_same_code_again_is_a_duplicate_although_another_one_came_between",),
    ),
    # ---- the order of writes: a crash repeats, it never loses ----
    Mutant(
        "records leave the queue before the copy of their batch is on it",
        CONSUMER,
        "            self._batcher.enqueue(first, COPY_DELAY_SECONDS)\n",
        '            queue.delete(source, [item.record["receiptHandle"] for item in pulled])\n'
        "            self._batcher.enqueue(first, COPY_DELAY_SECONDS)\n",
        (f"{TEST_BATCHES}::test_records_leave_the_queue_only_when_the_copy_of_their_batch_is_on_it",),
    ),
    Mutant(
        "a claim ends before the retry is queued",
        DELIVER,
        "            self.enqueue(following, left)\n            outcome = replace(outcome, retry_in=left)\n"
        "            if progress.is_claimed:\n"
        "                self.ledger.release(message.id, token, following.attempt, outcome, following.doubts)\n",
        "            outcome = replace(outcome, retry_in=left)\n            if progress.is_claimed:\n"
        "                self.ledger.release(message.id, token, following.attempt, outcome, following.doubts)\n"
        "            self.enqueue(following, left)\n",
        (f"{TEST_CONSUMER}::test_a_crash_before_a_retry_is_queued_loses_nothing",),
    ),
    Mutant(
        "the lease is shorter than a function may run",
        TABLE,
        "LEASE_SECONDS = 25.0",
        "LEASE_SECONDS = 12.0",
        ("tests/test_template.py::test_a_lease_lasts_longer_than_a_function_that_holds_it_may_run",),
    ),
    Mutant(
        "the copy of a batch comes while its process works",
        BATCH,
        "COPY_DELAY_SECONDS = LEASE_SECONDS",
        "COPY_DELAY_SECONDS = 0.0",
        (f"{TEST_CONSUMER}::test_the_copy_of_a_batch_is_hidden_while_its_process_works",),
    ),
    Mutant(
        "a mail whose end could not be recorded is not queued",
        DELIVER,
        "        self.enqueue(settled, postponement(times, parcel.lane))\n",
        "",
        (f"{TEST_CONSUMER}::test_a_mail_whose_outcome_cannot_be_recorded_is_not_sent_again",),
    ),
    # ---- how many copies ----
    Mutant(
        "a claim records no account",
        DELIVER,
        "token, self.clock(), offer)",
        "token, self.clock())",
        (f"{TEST_CONSUMER}::test_four_crashes_after_the_relay_accepted_make_two_copies_at_most",),
    ),
    Mutant(
        "the accounts that a dead process asked are forgotten",
        TABLE,
        'offered = tuple(row.get("offered", ()))',
        "offered = ()",
        (f"{TEST_CONSUMER}::test_four_crashes_after_the_relay_accepted_make_two_copies_at_most",),
    ),
    Mutant(
        "a code may be sent three times",
        RETRY,
        "{Lane.CODES: 2, Lane.NOTICES: 1}",
        "{Lane.CODES: 3, Lane.NOTICES: 1}",
        (TEST_DISPATCH,),
    ),
    Mutant(
        "a retry is rendered anew",
        DELIVER,
        "        if parcel.email:\n            return Ready(parcel.email, chain)\n",
        "",
        (f"{TEST_CONSUMER}::test_a_retry_is_the_same_mail_although_its_sender_has_changed",),
    ),
    Mutant(
        "a provider's id is kept at any length",
        f"{PACKAGE}/model/provider_ids.py",
        '"".join(filter(str.isprintable, text))[:MAX_LENGTH]',
        '"".join(filter(str.isprintable, text))',
        (f"{TEST_DISPATCH}::test_an_id_that_is_too_long_for_an_index_is_cut",),
    ),
    Mutant(
        "a batch takes a message that another process works on",
        TABLE,
        '"(#claim = :nobody OR (#claim = :claim AND #batch = :batch)))"',
        '"(#claim = :nobody OR #lease < :lease OR (#claim = :claim AND #batch = :batch)))"',
        (
            f"{TEST_BATCHES}::test_a_mail_that_another_process_has_leaves_its_batch_and_is_not_lost",
            f"{TEST_BATCHES}::test_a_mail_sent_alone_whose_record_was_lost_is_not_sent_in_a_batch",
        ),
    ),
    Mutant(
        "a batch sends what it could not claim",
        BATCH_REQUESTS,
        "ours = [mail for mail in mails if claims.get(mail[0].message.id)]",
        "ours = [mail for mail in mails if mail[0].message.id in claims]",
        (f"{TEST_BATCHES}::test_a_mail_that_another_process_has_leaves_its_batch_and_is_not_lost",),
    ),
    Mutant(
        "a batch checks an older code of a recipient before the newer one beside it",
        BATCH_REQUESTS,
        "for parcel in reversed(parcels):",
        "for parcel in parcels:",
        (f"{TEST_BATCHES}::test_expired_and_superseded_mails_are_left_out",),
    ),
    Mutant(
        "the key of a batch does not name its very mails",
        BATCH,
        "lines = [self.account, *(parcel.message.id for parcel in parcels)]",
        "lines = [self.batch_id, self.account]",
        (f"{TEST_BATCHES}::test_a_request_of_a_process_that_recorded_none_is_repeated",),
    ),
    Mutant(
        "the repetition of a batch drops a member that has its outcome",
        BATCH_REQUESTS,
        "mails = [(parcel, delivery.render(parcel)) for parcel in parcels]",
        "mails = [(parcel, delivery.render(parcel)) for parcel in parcels if parcel.message.id in unfinished]",
        (f"{TEST_BATCHES}::test_a_batch_survives_a_crash_at_each_step_without_a_copy",),
    ),
    Mutant(
        "a batch in doubt frees its messages",
        BATCH_REQUESTS,
        "batch=request.name, keep_claim=True",
        "batch=request.name",
        (f"{TEST_BATCHES}::test_a_mail_of_a_batch_in_doubt_is_not_sent_alone",),
    ),
    Mutant(
        "a message that SQS delivers twice is in a batch twice",
        BATCH,
        "{parcel.message.id: parcel for parcel in parcels}",
        "{str(id(parcel)): parcel for parcel in parcels}",
        (f"{TEST_BATCHES}::test_a_message_that_sqs_delivers_twice_is_in_its_batch_once",),
    ),
    # ---- what the ledger says ----
    Mutant(
        "a mail in doubt whose lifetime ends has failed",
        DELIVER,
        "status = Status.UNKNOWN if following.doubts else Status.FAILED",
        "status = Status.FAILED",
        (f"{TEST_CONSUMER}::test_a_mail_in_doubt_whose_lifetime_ends_is_unknown_not_failed",),
    ),
    Mutant(
        "a mail that a provider may have is skipped",
        DISPATCH,
        "    if doubts:\n        return Outcome(Status.UNKNOWN, reason, doubts[-1], tries=tuple(tries))\n    return",
        "    return",
        (f"{TEST_CONSUMER}::test_an_expired_retry_that_a_provider_may_have_is_unknown_not_skipped",),
    ),
    Mutant(
        "a batch in doubt ends as skipped",
        BATCH_REQUESTS,
        'outcome = Outcome(Status.UNKNOWN, "expired"',
        'outcome = Outcome(Status.SKIPPED, "expired"',
        (f"{TEST_BATCHES}::test_a_batch_in_doubt_whose_mails_expire_ends_as_unknown_not_as_skipped",),
    ),
    Mutant(
        "that a mail was sent is lost with its claim",
        TABLE,
        'if row and row["status"] == Status.ACCEPTED and outcome.status is Status.SENT:',
        "if False:",
        (f"{TEST_TABLE}::test_a_mail_that_was_sent_is_recorded_although_its_claim_was_lost",),
    ),
    # ---- an outage, a poisonous message, a neighbor ----
    Mutant(
        "an outage uses up the receives of a record",
        CONSUMER,
        "self._delivery.queue.put_back(replace(content, postponed=content.postponed + 1), delay)",
        'raise error or TemporaryFailure("ledger", "away")',
        (f"{TEST_CONSUMER}::test_an_outage_puts_messages_back_as_new_ones_and_is_met_once",),
    ),
    Mutant(
        "a poisonous record ends the invocation",
        CONSUMER,
        "            yield self._keep(item.record, error)\n\n    def _note_outage",
        "            raise\n\n    def _note_outage",
        (f"{TEST_CONSUMER}::test_a_message_that_fails_to_render_stays_and_holds_up_no_other",),
    ),
    Mutant(
        "codes of one recipient are sent at the same time",
        CONSUMER,
        "chains.setdefault((message.tenant, message.to.lower()), []).append(item)",
        "chains.setdefault((message.tenant, message.id), []).append(item)",
        (f"{TEST_PARALLEL}::test_the_codes_of_one_recipient_are_sent_one_after_the_other_in_their_order",),
    ),
    Mutant(
        "an account in trouble gets several mails at a time",
        DISPATCH,
        "if self.gate(account).takes_one_at_a_time:",
        "if False:",
        (f"{TEST_PARALLEL}::test_an_account_in_trouble_gets_one_mail_at_a_time",),
    ),
    Mutant(
        "each mail of a burst that hangs counts as a hang of its own",
        GATE,
        "self.hangs += started >= self.hung_at",
        "self.hangs += 1",
        (TEST_GATE,),
    ),
    Mutant(
        "an outage is met by each part of an invocation",
        CONSUMER,
        "            self._is_outage = True\n",
        "            pass\n",
        (f"{TEST_CONSUMER}::test_a_burst_meets_a_ledger_that_does_not_answer_once",),
    ),
    Mutant(
        "a mail that fails to render takes its batch along",
        BATCHES,
        "                sender.enqueue_alone(parcel, attempt=0)\n                continue\n",
        "                raise\n",
        (f"{TEST_BATCHES}::test_a_mail_that_fails_to_render_takes_no_other_along",),
    ),
    Mutant(
        "one message that another process has stops its whole batch",
        BATCHES,
        "            return sender.enqueue_alone(parcel, error.retry_after or LEASE_SECONDS, attempt=0)\n",
        "            raise error\n",
        (f"{TEST_BATCHES}::test_a_mail_that_another_process_has_leaves_its_batch_and_is_not_lost",),
    ),
    Mutant(
        "a gate never reopens",
        GATE,
        "return max(0.0, self.closed_until - now)",
        "return 3600.0 if self.closed_until else 0.0",
        (TEST_GATE,),
    ),
    Mutant(
        "a provider may close its gate for as long as it states",
        GATE,
        "now + min(seconds, MAX_CLOSED_SECONDS) + by_chance",
        "now + seconds + by_chance",
        (TEST_GATE,),
    ),
    Mutant(
        "an account that hangs is asked in turn",
        CONSUMER,
        "places.append((gate.is_troubled,",
        "places.append((False,",
        (f"{TEST_CONSUMER}::test_a_hanging_account_comes_last_and_costs_its_neighbors_one_hang",),
    ),
    Mutant(
        "a burst of one tenant is sent before another tenant's mail",
        CONSUMER,
        "turns[parcel.tenant] += 1",
        "pass",
        (f"{TEST_CONSUMER}::test_a_mail_waits_for_one_of_another_tenant_not_for_all_that_are_older",),
    ),
    Mutant(
        "all tenants share one group of the queue",
        QUEUE,
        'group = {"MessageGroupId": queued.tenant} if queued.tenant else {}',
        "group: dict[str, str] = {}",
        ("tests/aws/test_queue.py",),
    ),
    # ---- who may send, and report ----
    Mutant(
        "a seal is not checked",
        SEAL,
        "return not _needs_seal(parcel) or hmac.compare_digest(parcel.seal.encode(), _code(parcel, key).encode())",
        "return True",
        (f"{TEST_CONSUMER}::test_a_rendered_parcel_without_a_valid_seal_is_not_sent",),
    ),
    Mutant(
        "text of a caller needs no seal",
        SEAL,
        " or has_caller_text(message.kind, message.data)",
        "",
        (f"{TEST_CONSUMER}::test_a_message_with_text_of_its_own_needs_a_seal",),
    ),
    Mutant(
        "content of a caller needs no seal",
        SEAL,
        "bool(parcel.email or parcel.settled or message.content)",
        "bool(parcel.email or parcel.settled)",
        (f"{TEST_RENDERED}::test_content_without_a_seal_is_not_sent",),
    ),
    Mutant(
        "a rendered message of no kind is a notice",
        f"{PACKAGE}/model/kinds.py",
        "Lane.CODES if is_rendered or data",
        "Lane.CODES if data",
        (f"{TEST_RENDERED}::test_the_kind_decides_on_lane_and_succession",),
    ),
    Mutant(
        "a subject may have several lines",
        f"{PACKAGE}/sources/caller_content.py",
        "if LINE_BREAK.search(value.strip()):",
        "if False:",
        ("tests/sources/test_rendered.py::test_an_invalid_mail_is_refused_with_one_sentence",),
    ),
    Mutant(
        "a seal is not checked in a batch",
        BATCHES,
        "is_suppressed=is_suppressed) if is_authentic(parcel, key) else None",
        "is_suppressed=is_suppressed)",
        (f"{TEST_CONSUMER}::test_messages_with_text_of_their_own_need_a_seal_in_a_burst_too",),
    ),
    Mutant(
        "a signature of any version is accepted",
        STANDARD_WEBHOOKS,
        "for version, _, value in items if version == VERSION]",
        "for version, _, value in items]",
        ("tests/feedback/test_authentication.py",),
    ),
    Mutant(
        "a retry of an auth server becomes another message",
        SOURCE,
        "id=id_of(created_at or 0.0, *parts) if has_id else new_id(),",
        "id=new_id(),",
        ("tests/sources/test_supabase.py",),
    ),
    Mutant(
        "a token that was issued to any application of the directory is accepted",
        ENTRA,
        'if CALLER not in (text(claims, "azp"), text(claims, "appid")):',
        'if not (text(claims, "azp") or text(claims, "appid")):',
        ("tests/sources/test_entra.py",),
    ),
    Mutant(
        "the session of a user of Hanko's may send mail",
        HANKO,
        'if text(claims, "sub") != SUBJECT:',
        'if not text(claims, "sub"):',
        ("tests/sources/test_hanko.py",),
    ),
    Mutant(
        "a signature with garbage behind its digest is accepted",
        JSON_WEB_SIGNATURES,
        "if not hmac.compare_digest(actual, expected):",
        "if digest not in actual:",
        ("tests/webhooks/test_json_web_signatures.py",),
    ),
    Mutant(
        "the secret of the webhook is compared by ==",
        AUTHENTICATION,
        "hmac.compare_digest(presented, value) for",
        "presented == value for",
        ("tests/test_secret_comparisons.py",),
    ),
    Mutant(
        "an account reports about a mail of another",
        TABLE,
        "    if any(event.can_be_about_mail_of(carrier) for carrier in carriers):\n        return True\n",
        "    return True\n",
        ("tests/feedback/test_reporting_accounts.py",),
    ),
    Mutant(
        "an organization's logo replaces the tenant's own",
        BRAND,
        "if not (logo or dark_logo):",
        'if hints.get("logo_url"):',
        ("tests/rendering/test_untrusted_names.py::test_a_logo_of_the_source_never_replaces_the_tenants_own",),
    ),
    # ---- in time ----
    Mutant(
        "a call is repeated although its invocation must end",
        f"{PACKAGE}/aws/client.py",
        "if is_last or time.time() > self.retry_until:",
        "if is_last:",
        (
            "tests/aws/test_client.py::test_a_call_is_not_repeated_when_its_invocation_must_end",
            _scenario("half_of_the_ledgers_answers_are_late_and_no_invocation_runs_out_of_time"),
        ),
    ),
    Mutant(
        "a batch claims on when its time is up",
        BATCH_REQUESTS,
        "if (now := delivery.clock()) <= latest:",
        "if now := delivery.clock():",
        (f"{TEST_BATCHES}::test_a_batch_that_a_slow_ledger_claims_too_late_is_split",),
    ),
    Mutant(
        "a defect in a batch ends the invocation",
        CONSUMER,
        "        except Exception as error:  # noqa: BLE001 - the copies come back",
        "        except MemoryError as error:  # noqa: BLE001 - the copies come back",
        (f"{TEST_CONSUMER}::test_a_defect_while_a_batch_is_sent_holds_up_no_other_message",),
    ),
    Mutant(
        "a call that AWS refuses counts as an outage",
        CONSUMER,
        "if is_service_away and error.party",
        "if error.party",
        (f"{TEST_CONSUMER}::test_a_message_that_the_ledger_refuses_holds_up_no_other",),
    ),
    # ---- what a caller states about earlier codes ----
    Mutant(
        "a code that replaces all before it replaces the same as any other",
        RECIPIENTS,
        'message.created_at <= stored["dead_before"]',
        'message.created_at <= stored["created"] - 30.0',
        (TEST_RECIPIENTS, _scenario("a_code_that_replaces_all_before_it_is_the_last_to_arrive")),
    ),
    Mutant(
        "a code that replaces fewer revives dead ones",
        RECIPIENTS,
        "AND #kind.#dead_before <= :dead_before)",
        "AND #kind.#dead_before <> :dead_before)",
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "a late code that replaces all before it replaces none",
        RECIPIENTS,
        'dead_before = max(float(message.dead_before or 0), stored.get("dead_before", 0.0))',
        'dead_before = stored.get("dead_before", 0.0)',
        (TEST_RECIPIENTS,),
    ),
    # ---- limits ----
    Mutant(
        "a recipient gets one code more than the limit",
        LIMITS,
        "len(recent) >= self.per_recipient",
        "len(recent) > self.per_recipient",
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "a code counts again with each try",
        RECIPIENTS,
        "    if _entry(message) in recent:\n        return Standing.CURRENT, {}\n",
        "",
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "two processes count at once",
        RECIPIENTS,
        '"#version = :seen", {"#version": "version"}, seen',
        '"attribute_exists(pk)", {}, {}',
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "a code beyond the limit replaces earlier ones",
        RECIPIENTS,
        "    if standing is Standing.LIMITED:\n        return standing, {}\n    is_newest",
        "    is_newest",
        (TEST_RECIPIENTS,),
    ),
    Mutant(
        "an answer of send reveals a limit",
        f"{PACKAGE}/api/service.py",
        'CONCEALED = ("suppressed", "rate_limited")',
        'CONCEALED = ("suppressed",)',
        ("tests/api/test_outcomes.py::test_a_limited_mail_is_answered_like_any_other_and_looked_up_truthfully",),
    ),
    Mutant(
        "a message that is put back in an outage of SQS becomes three",
        QUEUE,
        "min(ceil(delay), MAX_DELAY_SECONDS), 1)",
        "min(ceil(delay), MAX_DELAY_SECONDS), MAX_ATTEMPTS)",
        (f"{TEST_CONSUMER}::test_a_message_is_put_back_in_one_call_and_none_for_the_others",),
    ),
)
