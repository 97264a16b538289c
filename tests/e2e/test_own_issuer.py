"""A stack with an issuer of its own instead of the user pool (JwtIssuer, JwtAudience)."""

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from local.deployment import session
from local.emulator import free_port
from local.stack import Answer, Stack, running_stack

AUDIENCE = "heist-app"
CLAIM = "https://players.example/id"


class Issuer:
    """Signs tokens; API Gateway finds its public key in a bucket of the embedded AWS."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def publish(self, endpoint: str) -> None:
        """Puts discovery document and key set at the issuer's address."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        s3 = session().client("s3", endpoint_url=endpoint)
        bucket = self.url.rsplit("/", 1)[1]
        s3.create_bucket(Bucket=bucket)
        everyone_reads = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        s3.delete_public_access_block(Bucket=bucket)
        policy = {"Version": "2012-10-17", "Statement": [everyone_reads]}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        for name, content in {
            ".well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks.json",
            },
            "jwks.json": {"keys": [key | {"kid": "one", "use": "sig", "alg": "RS256"}]},
        }.items():
            s3.put_object(
                Bucket=bucket,
                Key=name,
                Body=json.dumps(content).encode(),
                ContentType="application/json",
            )

    def token(self, **claims: Any) -> str:
        """A valid token, but for what `claims` say otherwise."""
        now = int(time.time())
        valid = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 600, "sub": "nobody"}
        return jwt.encode(valid | claims, self._key, algorithm="RS256", headers={"kid": "one"})


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Issuer]]:
    port = free_port()
    issuer = Issuer(f"http://localhost:{port}/issuer")
    parameters = {"JwtIssuer": issuer.url, "JwtAudience": AUDIENCE, "UserIdClaim": CLAIM}
    with running_stack(tmp_path_factory.mktemp("issued"), port, parameters) as stack:
        issuer.publish(stack.outputs.Endpoint)
        yield stack, issuer


def tokens(stack: Stack, token: str) -> Answer:
    return stack.call("GET", "/tokens", token=token)


def test_no_pool_is_made(issued: tuple[Stack, Issuer]) -> None:
    stack, _ = issued
    assert stack.outputs.UserPoolId == stack.outputs.UserPoolClientId == ""
    assert stack.cognito.list_user_pools(MaxResults=10)["UserPools"] == []


def test_the_named_claim_is_the_player(issued: tuple[Stack, Issuer]) -> None:
    stack, issuer = issued
    player = "auth0|7"
    stack.send(
        "referrals",
        "ReferralCompleted",
        {"referralId": "r", "referrerUserId": player, "referredUserId": "friend"},
    )
    deadline = time.monotonic() + 60
    while tokens(stack, issuer.token(**{CLAIM: player})).json["balance"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert tokens(stack, issuer.token(**{CLAIM: "someone-else"})).json["balance"] == 0


def test_a_token_without_the_claim_is_refused_with_403(issued: tuple[Stack, Issuer]) -> None:
    stack, issuer = issued
    answer = tokens(stack, issuer.token())
    assert (answer.status, answer.json["success"]) == (403, False)


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another-app"}, {"iss": "http://localhost/other"}, {"exp": int(time.time()) - 60}],
    ids=["audience", "issuer", "expired"],
)
def test_tokens_for_others_are_refused(
    issued: tuple[Stack, Issuer], claims: dict[str, object]
) -> None:
    stack, issuer = issued
    assert tokens(stack, issuer.token(**{CLAIM: "me"}, **claims)).status == 401


def test_another_key_of_the_same_name_is_refused(issued: tuple[Stack, Issuer]) -> None:
    stack, issuer = issued
    assert tokens(stack, Issuer(issuer.url).token(**{CLAIM: "me"})).status == 401
