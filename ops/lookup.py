"""Who a player is: by id, or by what people call them."""

from heist_core.domain.player import canonical_player_id
from heist_core.storage import operator
from ops.output import Output
from ops.target import OperatorError, Target

OF_TOKENS = {"username", "cognito:username"}
"""Claims that hold the login, which is no attribute of an account."""


def player_id_of(target: Target, text: str, out: Output) -> str:
    """The id of the player whose id, login or e-mail address is given.

    Somebody the table does not know is looked for in the stack's user pool, then by the address
    that their profile has. Raises OperatorError for what is not found and cannot be an id.
    """
    if not text.strip():
        raise OperatorError("Say which player: by id, login or e-mail address.")
    try:
        known = canonical_player_id(text)
    except ValueError as problem:
        known, wrong = "", str(problem)
    if known and target.store.player(known).exists:
        return known
    found = _accounts(target, text) or _addressed(target, text, out)
    if len(found) > 1:
        raise OperatorError(f"Several players are {text}: name one of {', '.join(found)}")
    if found:
        out.line(f"{text} is {found[0]}")
        return found[0]
    if not known:
        raise OperatorError(f"Nobody has {text} as login or address, and a player's id {wrong}.")
    return known


def nobody(target: Target, player_id: str) -> OperatorError:
    """There is no such player; where else to look."""
    where = (
        "Nobody has it as login or e-mail address, either."
        if "UserPoolId" in target.outputs
        else "Ids are what your issuer's tokens hold in the claim that UserIdClaim names."
    )
    return OperatorError(f"There is no player {player_id}. {where}")


def _accounts(target: Target, text: str) -> list[str]:
    """Ids of the players whose login or address this is, in the stack's own pool."""
    pool = target.outputs.get("UserPoolId")
    if not pool:
        return []
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    found: list[str] = []
    for name in ("username", "email"):
        users = target.cognito.list_users(UserPoolId=pool, Filter=f'{name} = "{quoted}"')["Users"]
        for user in users:
            attributes = {each["Name"]: each.get("Value", "") for each in user["Attributes"]}
            claim = target.user_id_claim
            found.append(user["Username"] if claim in OF_TOKENS else attributes.get(claim, ""))
    return list(dict.fromkeys(player_id for player_id in found if player_id))


def _addressed(target: Target, text: str, out: Output) -> list[str]:
    """Ids of the players whose profile has this address; the whole table is read for it."""
    if "@" not in text:
        return []
    scanned = target.table.scan(out.items_read, operator.players_with_address(text))
    return [str(item["pk"]).partition("#")[2] for item in scanned]
