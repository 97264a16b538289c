"""What the cost model assumes, each figure with its source. `make cost` turns it into dollars.

Prices are list prices of us-east-1 on demand, without free tiers, noted on 2026-11-27. "Counted"
is a figure that tests/integration/test_write_units.py holds to an engine.
"""

from typing import NamedTuple

from ops.capacity import READ_UNIT as READ_UNIT
from ops.capacity import WRITE_UNIT as WRITE_UNIT

# One day of an active player. There is no traffic yet: a sensible guess, to be replaced by yours.
ACTIVE_ON_A_DAY = 0.10  # of all players; guess
ACTIVE_IN_A_MONTH = 0.30  # of all players; guess: each of them then plays on ten days
DAYS = 30
TOKENS = 0.10  # awards; guess: one referral in ten days of play
HEISTS = TOKENS  # a heist costs a token, so in the long run there are as many
REFUSALS = HEISTS / 2  # guess
CAN_ROBS = 2  # guess
TOKEN_LOOKS = 2  # guess
INBOX_LOOKS = 2  # guess
POLLS = 20  # of the number of unread; COST budget 11
POINTS_EVENTS = 5  # COST budget 11
PROFILES = 0.05  # changes of name or address; guess
MARKS = 2 * HEISTS + TOKENS  # every notice is read, one at a time
BUSIEST_HOUR = 0.1  # of the day; guess
KEPT_MONTHS = 12  # the age of the table whose storage is priced

# Dollars. Pages of AWS: dynamodb, lambda, api-gateway, cognito, ses, eventbridge, cloudwatch, kms.
STORED_GB = 0.25
RECOVERY_GB = 0.20  # point-in-time recovery, of the table's size
SCAN_GB = 1e9 / 4096 * READ_UNIT  # consistent reads, whole pages
EXPORT_GB = 0.10 + 0.01  # to S3, and the functions that read it (docs/operations.md, "Audit")
API_CALL = 1.0e-6
LAMBDA_CALL = 0.20e-6
LAMBDA_GB_SECOND = 13.3334e-6  # arm64
MAIL = 0.10e-3
EVENT = 1.0e-6  # of a bus of one's own, by whoever puts it
LOG_GB = 0.50
ALARM = 0.10
METRIC = 0.30
DASHBOARD = 3.00
KEY = 1.00
SECRET = 0.40
SIGN_IN_TIERS = {  # Cognito: up to so many players in a month, dollars each
    "LITE": ((10_000, 0.0), (100_000, 0.0055), (1_000_000, 0.0046), (10_000_000, 0.00325),
             (float("inf"), 0.0025)),
    "ESSENTIALS": ((10_000, 0.0), (float("inf"), 0.015)),
}  # fmt: skip

# What stands in template.yaml.
ALARMS = 58  # about; billed by the metric: alarms on a share look at two
METRICS = 45  # names in docs/metrics.md, with their dimensions
ROUTE_METRICS = 0  # DetailedRouteMetrics is off; 4 for each route when on
SWEEPS = 12 * 24 * DAYS
DIGEST_RUNS = 60 * 24 * DAYS
API_GB, EVENT_GB, NOTIFIER_GB = 1.0, 0.5, 1.729

# Seconds of a function; estimates from instructions (docs/performance.md) and 5 to 10 ms a call.
API_SECONDS = 0.05
LIGHT_SECONDS = 0.02  # one read, no pydantic
EVENT_SECONDS = 0.05
NOTIFIER_SECONDS = 0.22  # one heist alone: 12 calls, two of them SES's
PUBLISHER_SECONDS = 0.12
DIGEST_SECONDS = 0.15  # 8 calls, one of them SES's
RUN_SECONDS = 0.05  # of digests, when none is due

# A daily digest, beside a unit for each of its notices, which is what an instant mail's result is.
DIGEST_WRITES = 4  # counted: into the index and out of it, claim and result
DIGEST_READS = 12  # counted, with three notices
LOG_BYTES = 700  # of an invocation; counted by hand

PLAYER_BYTES = 1_500  # estimate: state, rate items, statistics
FACT_BYTES = 3_000  # estimate: of a heist or award with ledger, notices and inbox items
ENTRY_BYTES = 400  # estimate: of a points event with its ledger entry


AUDITED_GB = 2  # in one run: five million items of 400 bytes; a larger table is exported


class Code(NamedTuple):
    """Units of DynamoDB that a version of the code uses, alone in its batches."""

    tier: str
    """Of Cognito."""
    heist: dict[str, float]
    """Write units of all that a robber's second heist causes, by part. Counted."""
    heist_reads: float = 12  # counted
    award_writes: float = 18  # counted: 5 and its notice 6, published and counted 7
    award_reads: float = 8  # counted
    refusal_writes: float = 8  # counted
    refusal_reads: float = 6  # counted
    points_writes: float = 6  # counted
    points_reads: float = 2  # counted
    profile_writes: float = 1  # counted
    mark_writes: float = 2  # counted
    mark_reads: float = 2  # counted
    poll_reads: float = 2  # counted
    poll_seconds: float = API_SECONDS
    inbox_reads: float = 2  # counted
    notifier_gb: float = NOTIFIER_GB
    audit_exports: bool = False
    """Whether a table too large for one run is audited at all."""


BEFORE = Code(
    "ESSENTIALS",  # what a pool gets that names none
    {
        "rate counter": 1,
        "transaction": 11,
        "notices": 10,
        "mails": 4,
        "marker": 4,
        "statistics": 12,
    },
)
"""The code of 2026-11-25, before any of it was made cheaper. A poll was a page of the inbox."""

NOW = BEFORE._replace(
    tier="LITE",
    heist={
        "rate counter": 1,
        "transaction": 11,
        "board": 4,
        "notices": 6,
        "mails": 2,
        "marker": 2,
        "statistics": 10,
    },
    heist_reads=11,
    award_writes=16,
    refusal_writes=9,
    points_writes=8,
    mark_writes=5,
    mark_reads=4,
    poll_reads=1,
    poll_seconds=LIGHT_SECONDS,
    audit_exports=True,
)
