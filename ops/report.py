"""Show the reports: heists per day, token balances, top robbers.

Reads only, a bounded number of items. Figures are those that the table's stream
has brought, as a rule within a second.
"""

import argparse

from heist_core.domain.errors import Malformed
from heist_core.use_cases.show_statistics import ShowStatistics
from ops.output import Output
from ops.target import OperatorError, Target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def run(target: Target, options: argparse.Namespace, out: Output) -> int:  # noqa: ARG001
    report = ShowStatistics(target.statistics, target.clock)
    try:
        days, tokens, robbers = (
            report.heists_per_day(),
            report.token_distribution(),
            report.top_robbers(),
        )
    except Malformed as damage:
        raise OperatorError(f"{damage}: ./heist rebuild-stats recounts them") from damage
    out.line(f"Heists per day since {days['since']} (UTC)")
    out.table(
        ("date", "successful", "failed", "average stolen"),
        (
            (
                day["date"],
                day["successfulHeists"],
                day["failedHeists"],
                "-" if day["avgPointsStolen"] is None else f"{day['avgPointsStolen']:.2f}",
            )
            for day in days["days"]
        ),
    )
    out.line()
    out.line("Token balances")
    out.table(
        ("balance", "players"), ((row["balance"], row["userCount"]) for row in tokens["balances"])
    )
    out.line()
    out.line(f"Top robbers since {robbers['since']} (UTC)")
    out.table(
        ("name", "heists", "points", "player"),
        (
            (row["name"], row["heistCount"], row["totalStolen"], row["userId"])
            for row in robbers["robbers"]
        ),
    )
    out.document({"heistsPerDay": days, "tokenDistribution": tokens, "topRobbers": robbers})
    return 0
