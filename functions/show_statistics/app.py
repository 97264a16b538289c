"""GET /api/heist/admin/stats/heists-per-day, /token-distribution and /top-robbers"""

from typing import Literal, cast

from heist_core import wiring
from heist_core.domain.errors import NotAnOperator
from heist_core.http.api import Request, Response, api_handler

OPERATORS = "operators"
"""The group of the user pool (or of the issuer's claim `cognito:groups`) that may see reports."""


@api_handler("show_statistics")
def handler(request: Request) -> Response:
    if OPERATORS not in request.groups:
        raise NotAnOperator
    name = cast(
        "Literal['heists-per-day', 'token-distribution', 'top-robbers']",
        request.route.rpartition("/")[2],
    )
    statistics = wiring.show_statistics()
    match name:
        case "heists-per-day":
            return Response(statistics.heists_per_day())
        case "token-distribution":
            return Response(statistics.token_distribution())
        case "top-robbers":
            return Response(statistics.top_robbers())
