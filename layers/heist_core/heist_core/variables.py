"""Reads environment variables when first used, none at import."""

import os


class InvalidSettings(Exception):
    """A setting is not valid; the message names each and what is allowed."""


def variable(name: str, default: str | None = None) -> str:
    """An environment variable. Raises InvalidSettings when it is missing and has no default."""
    value = os.environ.get(name, default)
    if value is None:
        raise InvalidSettings(f"{name}: the variable is not set")
    return value


def in_sam_local() -> bool:
    """Whether SAM CLI's local containers run this: they set AWS_SAM_LOCAL, Lambda does not."""
    return os.environ.get("AWS_SAM_LOCAL") == "true"
