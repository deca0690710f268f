"""The services that one mail uses. tests/deployment/test_cost.py compares the counts with a run of the functions."""

__all__ = [
    "CUSTOM_METRICS",
    "DELIVER_BURST_SECONDS",
    "DELIVER_SECONDS",
    "FEEDBACK_SECONDS",
    "INDEX_WRITES",
    "LOG_BYTES",
    "MAIL_WRITES",
    "MEMORY_GB",
    "POLLING_REQUESTS_PER_MONTH",
    "QUEUE_REQUESTS",
    "READS",
    "REPORT_LOG_BYTES",
    "REPORT_WRITES",
    "ROW_BYTES",
    "TALLY_WRITES",
    "WEBHOOK_SECONDS",
]

# Counted: units of DynamoDB (every row is below 1 KB), requests of SQS, log bytes with the 26 that CloudWatch adds.
MAIL_WRITES = 3.0  # last check, claim, outcome
INDEX_WRITES = 3.0  # of mail of the default tenant; another tenant's is in one index more
REPORT_WRITES = 1.0
TALLY_WRITES = 1.0  # at a mail every 2.6 s and a report of each; less in bursts, up to 4 where mails are rare
READS = 0.5  # the suppression list, eventually consistent
QUEUE_REQUESTS = 3.0  # send, receive, delete
LOG_BYTES = 1_710
REPORT_LOG_BYTES = 610
ROW_BYTES = 1_550  # a message and a recipient with their index entries, kept for 30 days
# Lambda polls each queue with at least five connections that wait up to 20 seconds.
POLLING_REQUESTS_PER_MONTH = 1_950_000
CUSTOM_METRICS = 11  # in a month with one provider

# Estimated for 512 MB, from CPU measured in tests and a provider that answers in 150 ms; not measured on AWS.
MEMORY_GB = 0.5
WEBHOOK_SECONDS = 0.02
DELIVER_SECONDS = 0.2  # a mail alone
DELIVER_BURST_SECONDS = 0.05  # a mail in a batch of a hundred
FEEDBACK_SECONDS = 0.015
