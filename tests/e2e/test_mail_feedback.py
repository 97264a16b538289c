"""What SES tells of mails, on the deployed stack.

The embedded AWS tells nothing by itself, and as on AWS nobody may put an event of its name on a
bus: the tests hand it to the function.
"""

import json

from heist_core.domain.mail_feedback import MailName, tags_of
from tests.builders import Event, sample
from tests.desk import Desk
from tests.e2e.world import World, address


def told(world: World, name: MailName, recipient: str) -> Event:
    """That the mail came back, as SES documents it."""
    event = sample("record_mail_feedback")
    configuration = world.outputs["TableName"]  # the local stack's name, too
    tags = {each: [value] for each, value in tags_of(name).items()}
    event["detail"]["mail"] |= {
        "destination": [recipient],
        "tags": {**tags, "ses:configuration-set": [configuration]},
    }
    return event


def bounce(world: World, heist_id: str, player_id: str, recipient: str) -> None:
    event = told(world, MailName("heist", heist_id, player_id), recipient)
    world.deliver("record_mail_feedback", event["source"], event["detail-type"], event["detail"])


def test_an_address_that_bounced_gets_no_more_mail_until_it_is_another(
    world: World, desk: Desk
) -> None:
    old, other, new = address(), address(), address()
    player = world.robber(tokens=3, email=old)
    heist = player.rob(world.victim(points=500))
    world.first_mail_to(old)
    bounce(world, heist["heistId"], player.id, old)

    assert desk("player", player.id)["player"]["suppressed"]["reason"] == "BOUNCE"
    world.earn(player.id, 1000)
    robber = world.robber(email=other)
    robber.rob(player.id)
    world.first_mail_to(other)  # and theirs would have gone out with it
    assert len(world.mails_to(old)) == 1

    world.profile(player.id, email=new)
    assert desk("player", player.id)["player"]["suppressed"] is None
    player.put("/preferences", {"email": {"token": "instant"}})
    world.award(player.id)
    world.first_mail_to(new)


def test_the_rule_takes_what_ses_tells_of_this_stack_and_nobody_else_may_tell_it(
    world: World,
) -> None:
    events = world.client("events")
    name = MailName("heist", "h1", "p1")
    event = told(world, name, "a@example.com")
    [rule] = [
        rule
        for rule in events.list_rules(EventBusName="default")["Rules"]
        if "aws.ses" in rule.get("EventPattern", "")
    ]
    targets = events.list_targets_by_rule(Rule=rule["Name"], EventBusName="default")["Targets"]
    assert [each["Arn"].rpartition(":")[2] for each in targets] == [
        world.function("record_mail_feedback")
    ]

    def taken(event: Event) -> bool:
        answer = events.test_event_pattern(
            EventPattern=rule["EventPattern"], Event=json.dumps(event)
        )
        return bool(answer["Result"])

    assert taken(event)
    assert taken({**event, "detail-type": "Email Complaint Received"})
    assert not taken({**event, "detail-type": "Email Delivered"})
    event["detail"]["mail"]["tags"]["ses:configuration-set"] = ["another"]
    assert not taken(event)
    forged = {"Source": "aws.ses", "DetailType": "Email Bounced", "Detail": "{}"}
    assert events.put_events(Entries=[forged])["FailedEntryCount"] == 1
