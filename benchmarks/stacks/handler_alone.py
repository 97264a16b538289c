"""Execute as it is, without the network."""

import no_network  # type: ignore[import-not-found]  # noqa: F401 - beside this file when it runs
from app import handler as handler  # type: ignore[import-not-found] # the function's folder is in the path
