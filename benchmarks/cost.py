"""What the stack costs a month at list prices: prints the table of docs/scaling.md."""

from typing import NamedTuple

ACTIVE = 0.1
INBOX_LOOKS = 3
CAN_ROBS = 2
HEISTS = 1 / 3
REFUSALS = 1 / 6
AWARDS = 1 / 30
DAYS = 30

BUSIEST_HOUR = 0.1

# List prices of us-east-1 in US dollars, on demand, arm64, noted in 2026-11: check them.
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
HEIST_SETTLING_WRITES = 4 + 1 + 3  # claims and results of two mails, owed entries, the marker
HEIST_STATISTICS_WRITES = 11  # alone; fewer in a batch
REFUSAL_WRITES = 1 + 2 + 5  # rate counter; record and marker; statistics
NOTICE_WRITES = 5
AWARD_WRITES = 5
AWARD_SETTLING_WRITES = 4
AWARD_STATISTICS_WRITES = 4
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


def writes_a_day() -> float:
    """Write units that an active player costs on a day, with all that follows."""
    heist = HEIST_WRITES + HEIST_SETTLING_WRITES + HEIST_STATISTICS_WRITES + 2 * NOTICE_WRITES
    award = AWARD_WRITES + AWARD_SETTLING_WRITES + AWARD_STATISTICS_WRITES + NOTICE_WRITES
    return HEISTS * heist + REFUSALS * REFUSAL_WRITES + AWARDS * award + CAN_ROBS


def month(players: int) -> Month:
    """The cost at a number of players, a year after the start, by the load of docs/scaling.md."""
    active = players * ACTIVE * DAYS
    heists, refusals, awards = active * HEISTS, active * REFUSALS, active * AWARDS
    checks, looks = active * CAN_ROBS, active * INBOX_LOOKS
    routes = heists + refusals + checks + looks
    invocations = routes + awards + 2 * (heists + awards) + refusals
    seconds = routes * 0.05 + awards * 0.05 + heists * 0.2
    reads = heists * (3 + 2 + 2 + 4) + refusals * (3 + 3) + awards * 3 + checks * 2 + looks * 4
    return Month(
        writes=active * writes_a_day() * WRITE_UNIT,
        reads=reads * READ_UNIT,
        api=routes * API_CALL,
        functions=invocations * LAMBDA_CALL + seconds * LAMBDA_GB_SECOND,
        mails=2 * heists * MAIL,
        bus=(heists + awards) * EVENT,
        logs=invocations * LOG_BYTES / 1e9 * LOG_GB,
        storage=(players * 1.5e3 + 12 * heists * 3e3) / 1e9 * STORED_GB,
    )


def main() -> None:
    """One row per part, one column per size; and the write units of the busiest second."""
    sizes = (1_000_000, 10_000_000, 100_000_000)
    months = [month(players) for players in sizes]
    print("| $ a month | 1 million | 10 million | 100 million |\n|---|--:|--:|--:|")
    for name, *values in zip(Month._fields, *months, strict=True):
        print(f"| {name} | " + " | ".join(f"{value:,.0f}" for value in values) + " |")
    print("| **together** | " + " | ".join(f"**{sum(one):,.0f}**" for one in months) + " |")
    for players in sizes:
        writes = players * ACTIVE * writes_a_day() * BUSIEST_HOUR / 3600
        print(f"{players:,} players: {writes:,.0f} write units in the busiest second")


if __name__ == "__main__":
    main()
