"""The target of a heist as requests name it. Pydantic, a quarter of a cold start, loads only for an
invalid one."""

from collections.abc import Mapping

from .domain.player import canonical_player_id


def parse_target(values: Mapping[str, object]) -> str:
    """The player that a body or path names, as ExecuteRequest takes it. Raises InvalidInput."""
    try:
        return canonical_player_id(values.get("targetUserId"))
    except ValueError:
        from .contracts import ExecuteRequest, parse

        return parse(ExecuteRequest, values).targetUserId
