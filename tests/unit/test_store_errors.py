"""What the store makes of DynamoDB's errors: contended, unknown, decided, or a defect."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.config import Config
from botocore.stub import Stubber
from mypy_boto3_dynamodb import DynamoDBClient

from heist_core.domain.errors import Contention, Misconfigured, Unavailable
from heist_core.domain.heist import Heist, RefusedHeist
from heist_core.storage import items, keys, wire
from heist_core.storage.store import Store
from heist_core.storage.table import Table
from tests.builders import HOUR, NOW, award, heist, player, refused
from tests.fakes import SameThread, Tap, Tapped

HEIST, ALICE, BOB = heist(), player("alice"), player("bob")


class Stubbed:
    def __init__(self, client: DynamoDBClient) -> None:
        self.client = client
        self.stub = Stubber(self.client)
        self.store = Store(Table(self.client, "the-table", lambda _: None), SameThread())

    def cancelled(self, *reasons: str, item: wire.Item | None = None) -> None:
        listed: list[dict[str, Any]] = [{"Code": reason} for reason in reasons]
        if item is not None:
            listed[0]["Item"] = wire.to_wire(item)
        self.stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": listed},
        )


@pytest.fixture(scope="module")
def client() -> Iterator[DynamoDBClient]:
    client = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
    yield client
    client.close()


@pytest.fixture
def db(client: DynamoDBClient) -> Iterator[Stubbed]:
    stubbed = Stubbed(client)
    with stubbed.stub:
        yield stubbed
        stubbed.stub.assert_no_pending_responses()


def commit(db: Stubbed) -> Heist | RefusedHeist | None:
    return db.store.commit_heist(HEIST, ALICE, BOB, HOUR)


FAILED = "ConditionalCheckFailed"


@pytest.mark.parametrize(
    "reasons",
    [
        ("None", FAILED, "None", "None", "None"),
        ("None", "None", FAILED, "None", "None"),
        ("None", FAILED, FAILED, "None", "None"),
        ("TransactionConflict", FAILED, "None", "None", "None"),
        ("TransactionConflict", "None", "None", "None", "None"),
        ("None", "ThrottlingError", "None", "None", "None"),
        ("None", "ProvisionedThroughputExceeded", "None", "None", "None"),
    ],
)
def test_a_cancelled_heist_whose_record_did_not_refuse_is_contended(
    db: Stubbed, reasons: tuple[str, ...]
) -> None:
    db.cancelled(*reasons)
    with pytest.raises(Contention):
        commit(db)


def test_what_stands_under_the_id_comes_back_whatever_else_failed(db: Stubbed) -> None:
    standing = heist(victim="carol")
    db.cancelled(FAILED, FAILED, "TransactionConflict", item=items.heist_item(standing))
    assert commit(db) == standing
    db.cancelled(FAILED, "None", item=items.refused_heist_item(refused()))
    assert isinstance(commit(db), RefusedHeist)


def test_a_refused_record_without_the_item_is_no_answer(db: Stubbed) -> None:
    db.cancelled(FAILED, "None", "None", "None", "None")
    with pytest.raises(Contention):
        commit(db)


@pytest.mark.parametrize("reason", ["ValidationError", "ItemCollectionSizeLimitExceeded"])
def test_a_step_that_can_never_work_is_a_defect(db: Stubbed, reason: str) -> None:
    db.cancelled("None", reason, "TransactionConflict")
    with pytest.raises(exceptions.ClientError):
        commit(db)


def test_an_award_or_event_that_exists_is_no_contention(db: Stubbed) -> None:
    db.cancelled(FAILED, "None")
    assert not db.store.commit_award(award())
    db.cancelled("None", "TransactionConflict")
    with pytest.raises(Contention):
        db.store.commit_award(award())


CALLS: dict[str, Callable[[Store], object]] = {
    "put_item": lambda store: store.record_refusal(refused()),
    "update_item": lambda store: store.count_check("alice", NOW, 1),
    "transact_write_items": lambda store: store.commit_heist(HEIST, ALICE, BOB, HOUR),
    "get_item": lambda store: store.player("alice"),
    "batch_get_item": lambda store: store.read_for_heist("h", "alice", "bob", with_settings=True),
    "query": lambda store: store.unread_count("alice", NOW),
    "scan": lambda store: list(store._table.scan()),
    "delete_item": lambda store: store._table.delete(keys.player("alice")),
}


PLAIN_WRITES = {"put_item", "update_item", "delete_item"}
TRIES = 5


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ProvisionedThroughputExceededException", 400, Contention),
        ("ThrottlingException", 400, Contention),
        ("RequestLimitExceeded", 400, Contention),
        ("TransactionConflictException", 400, Contention),
        ("TransactionInProgressException", 400, Unavailable),
        ("InternalServerError", 500, Unavailable),
        ("ServiceUnavailable", 503, Unavailable),
        ("AccessDeniedException", 400, Misconfigured),
        ("ExpiredTokenException", 400, Misconfigured),
        ("ResourceNotFoundException", 400, Misconfigured),
        ("ValidationException", 400, exceptions.ClientError),
        ("SerializationException", 400, exceptions.ClientError),
        ("IdempotentParameterMismatchException", 400, exceptions.ClientError),
        ("ItemCollectionSizeLimitExceededException", 400, exceptions.ClientError),
    ],
)
def test_every_error_is_contended_unknown_or_a_defect(
    db: Stubbed, operation: str, code: str, status: int, kind: type[Exception]
) -> None:
    waited_for = code == "TransactionConflictException" and operation in PLAIN_WRITES
    for _ in range(TRIES if waited_for else 1):
        db.stub.add_client_error(operation, code, http_status_code=status)
    with pytest.raises(kind) as caught:
        CALLS[operation](db.store)
    assert isinstance(caught.value, Contention) == (kind is Contention)
    assert isinstance(caught.value, Misconfigured) == (kind is Misconfigured)


NO_ANSWER = [
    exceptions.ReadTimeoutError(endpoint_url="x"),
    exceptions.ConnectTimeoutError(endpoint_url="x"),
    exceptions.EndpointConnectionError(endpoint_url="x"),
    exceptions.ConnectionClosedError(endpoint_url="x"),
    exceptions.HTTPClientError(error=OSError()),
    exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
]


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("error", NO_ANSWER, ids=lambda error: type(error).__name__)
def test_no_answer_is_an_unknown_outcome(db: Stubbed, operation: str, error: Exception) -> None:
    def fail(called: str, request: object) -> None:
        assert called == operation
        raise error

    tapped = Tapped(db.client, Tap(before=fail)).as_dynamodb
    store = Store(Table(tapped, "the-table"), SameThread())
    with pytest.raises(Unavailable) as caught:
        CALLS[operation](store)
    assert type(caught.value) is Unavailable
    assert caught.value.__cause__ is error


def test_keys_left_unprocessed_are_asked_for_again(db: Stubbed) -> None:
    keys = [{"pk": {"S": f"PLAYER#{name}"}, "sk": {"S": "STATE"}} for name in ("alice", "bob")]
    asked = {"the-table": {"Keys": keys, "ConsistentRead": True}}
    left = {"the-table": {"Keys": keys[1:], "ConsistentRead": True}}
    version = {"version": {"N": "1"}}
    db.stub.add_response(
        "batch_get_item",
        {"Responses": {"the-table": [keys[0] | version]}, "UnprocessedKeys": left},
        {"RequestItems": asked},
    )
    db.stub.add_response(
        "batch_get_item",
        {"Responses": {"the-table": [keys[1] | version]}, "UnprocessedKeys": {}},
        {"RequestItems": left},
    )
    snapshot = db.store.read_for_heist(None, "alice", "bob", with_settings=False)
    assert snapshot.attacker.exists
    assert snapshot.victim.exists


def test_keys_that_stay_unprocessed_are_contention_and_never_absence(db: Stubbed) -> None:
    keys = [{"pk": {"S": "PLAYER#alice"}, "sk": {"S": "STATE"}}]
    for _ in range(5):
        db.stub.add_response(
            "batch_get_item",
            {"Responses": {}, "UnprocessedKeys": {"the-table": {"Keys": keys}}},
        )
    with pytest.raises(Contention):
        db.store.read_for_heist(None, "alice", "bob", with_settings=False)


def test_a_player_is_read_once_where_attacker_and_target_are_the_same(db: Stubbed) -> None:
    keys = [{"pk": {"S": "PLAYER#alice"}, "sk": {"S": "STATE"}}]
    db.stub.add_response(
        "batch_get_item",
        {"Responses": {"the-table": []}},
        {"RequestItems": {"the-table": {"Keys": keys, "ConsistentRead": True}}},
    )
    snapshot = db.store.read_for_heist(None, "alice", "alice", with_settings=False)
    assert snapshot.attacker == snapshot.victim


def test_an_error_of_either_of_two_calls_surfaces_when_both_have_ended(db: Stubbed) -> None:
    ended: list[str] = []

    def well() -> str:
        ended.append("well")
        return "there"

    def badly() -> str:
        ended.append("badly")
        raise Unavailable

    assert db.store.together(well, well) == ("there", "there")
    with pytest.raises(Unavailable):
        db.store.together(badly, well)
    with pytest.raises(Unavailable):
        db.store.together(well, badly)
    assert ended == ["well", "well", "badly", "well", "well", "badly"]
