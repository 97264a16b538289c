"""GET /api/heist/admin/stats/heists-per-day, /token-distribution and /top-robbers"""

from typing import Literal, cast

from heist_core import wiring
from heist_core.http.api import Request, Response, api_handler, only_operators


@api_handler("show_statistics")
def handler(request: Request) -> Response:
    only_operators(request, or_support=True)
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
