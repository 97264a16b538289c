"""What the stack costs a month at list prices: `python -m benchmarks.cost` prints the table of docs/scaling.md."""

from typing import NamedTuple

ACTIVE = 0.1
INBOX_LOOKS = 3
CAN_ROBS = 2
HEISTS = 1 / 3
AWARDS = 1 / 30
DAYS = 30

# us-east-1, on demand, arm64, 2026-11, in US dollars.
WRITE_UNIT = 0.625e-6
READ_UNIT = 0.125e-6
API_CALL = 1.0e-6
LAMBDA_CALL = 0.20e-6
LAMBDA_GB_SECOND = 13.3334e-6
MAIL = 0.10e-3
EVENT = 1.0e-6
LOG_GB = 0.50
STORED_GB = 0.25

HEIST_WRITES = 11 + 1  # and the rate counter
HEIST_SETTLING_WRITES = 4 + 1 + 3  # claims and results of two mails, both debts, the marker
NOTICE_WRITES = 5
AWARD_WRITES = 5
AWARD_SETTLING_WRITES = 4
LOG_BYTES = 700


class Month(NamedTuple):
    """Dollars a month."""

    writes: float
    reads: float
    api: float
    functions: float
    mails: float
    bus: float
    logs: float
    storage: float


def month(players: int) -> Month:
    """The cost at a number of players, a year after the start, by the load of docs/scaling.md."""
    active = players * ACTIVE * DAYS
    heists, awards = active * HEISTS, active * AWARDS
    checks, looks = active * CAN_ROBS, active * INBOX_LOOKS
    routes = heists + checks + looks
    invocations = routes + awards + 2 * (heists + awards)
    seconds = routes * 0.05 + awards * 0.05 + heists * 0.2
    writes = (
        heists * (HEIST_WRITES + HEIST_SETTLING_WRITES + 2 * NOTICE_WRITES)
        + awards * (AWARD_WRITES + AWARD_SETTLING_WRITES + NOTICE_WRITES)
        + checks
    )
    reads = heists * (3 + 2 + 2) + checks * 2 + looks * 4
    return Month(
        writes=writes * WRITE_UNIT,
        reads=reads * READ_UNIT,
        api=routes * API_CALL,
        functions=invocations * LAMBDA_CALL + seconds * LAMBDA_GB_SECOND,
        mails=2 * heists * MAIL,
        bus=(heists + awards) * EVENT,
        logs=invocations * LOG_BYTES / 1e9 * LOG_GB,
        storage=(players * 1.5e3 + 12 * heists * 3e3) / 1e9 * STORED_GB,
    )


def main() -> None:
    """One row per part, one column per size."""
    months = [month(players) for players in (1_000_000, 10_000_000, 100_000_000)]
    print("| $ a month | 1 million | 10 million | 100 million |\n|---|--:|--:|--:|")
    for name, *values in zip(Month._fields, *months, strict=True):
        print(f"| {name} | " + " | ".join(f"{value:,.0f}" for value in values) + " |")
    print("| **together** | " + " | ".join(f"**{sum(one):,.0f}**" for one in months) + " |")


if __name__ == "__main__":
    main()
