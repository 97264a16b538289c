"""Sign the unsubscribe links of mails with a new key from now on.

Links that are out work for another 60 days, whatever key signed them. Instances
that send mail go on with the key that they have for up to an hour. The log gets
its entry first: if the key could not be put after that, the command says so.
"""

import argparse
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from heist_core.domain.times import from_iso, to_iso
from heist_core.domain.unsubscribing import key_id
from heist_core.storage import operator
from ops.command import add_change_arguments, agreed, reason_of
from ops.output import Output, moment
from ops.target import OperatorError, Target

KEPT = timedelta(days=61)
"""The 60 days, and one for instances that still sign with the key that was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_change_arguments(parser)


def run(target: Target, options: argparse.Namespace, out: Output) -> int:
    reason = reason_of(options)
    newest, old = _keys(target)
    now = target.now()
    kept = {key: until for key, until in old.items() if now < from_iso(until)}
    _show(out, newest, kept)
    done = agreed(options, out)
    if done:
        made = secrets.token_hex(32)
        kept[newest] = to_iso(now + KEPT)
        _log(target, reason, newest, made)
        _put(target, made, kept)
        newest = made
        out.line("Rotated.")
        _show(out, newest, kept)
    document = {key_id(key): until for key, until in kept.items()}
    out.document({"key": key_id(newest), "old": document, "done": done})
    return 0


def _keys(target: Target) -> tuple[str, Mapping[str, str]]:
    """The key that signs, and those from before with until when their links work."""
    secret = target.secrets.get_secret_value(SecretId=_secret_id(target))
    content = json.loads(str(secret["SecretString"]))
    return str(content["key"]), {str(one["key"]): str(one["until"]) for one in content["old"]}


def _secret_id(target: Target) -> str:
    function = target.function("unsubscribe")
    configured = target.lambdas.get_function_configuration(FunctionName=function)
    return configured["Environment"]["Variables"]["UNSUBSCRIBE_KEY_ID"]


def _show(out: Output, newest: str, old: Mapping[str, str]) -> None:
    """Keys by their ids; nobody sees a key."""
    out.line(f"{key_id(newest)}  signs the links of new mails")
    for key, until in old.items():
        out.line(f"{key_id(key)}  its links work until {moment(until)}")


def _log(target: Target, reason: str, before: str, after: str) -> None:
    action = target.action(
        "rotate-key",
        "unsubscribe links",
        reason,
        before={"key": key_id(before)},
        after={"key": key_id(after)},
    )
    target.table.transact((operator.record_action(action),))


def _put(target: Target, newest: str, old: Mapping[str, str]) -> None:
    kept = [{"key": key, "until": until} for key, until in old.items()]
    content = json.dumps({"old": kept, "key": newest})
    try:
        target.secrets.put_secret_value(SecretId=_secret_id(target), SecretString=content)
    except (BotoCoreError, ClientError) as error:
        raise OperatorError(
            f"The key may not have been put, though the log has it: {error}. Run this again."
        ) from error
