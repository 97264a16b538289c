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
from tests.e2e.world import eventually, referral

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
        discovery = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks.json"}
        keys = {"keys": [key | {"kid": "one", "use": "sig", "alg": "RS256"}]}
        for name, content in (
            (".well-known/openid-configuration", discovery),
            ("jwks.json", keys),
        ):
            body = json.dumps(content).encode()
            s3.put_object(Bucket=bucket, Key=name, Body=body, ContentType="application/json")

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


def test_the_named_claim_is_the_player_and_without_it_there_is_none(
    issued: tuple[Stack, Issuer],
) -> None:
    stack, issuer = issued
    player = "auth0|7"
    stack.send("referrals", "ReferralCompleted", referral(player))
    mine, others = issuer.token(**{CLAIM: player}), issuer.token(**{CLAIM: "someone-else"})
    eventually(lambda: tokens(stack, mine).json["balance"], lambda balance: balance == 1)
    assert tokens(stack, others).json["balance"] == 0
    nobody = tokens(stack, issuer.token())
    assert (nobody.status, nobody.json["success"]) == (403, False)


def test_tokens_for_others_of_others_and_of_yesterday_are_refused(
    issued: tuple[Stack, Issuer],
) -> None:
    stack, issuer = issued
    past = int(time.time()) - 60
    for wrong in ({"aud": "another-app"}, {"iss": "http://localhost/other"}, {"exp": past}):
        assert tokens(stack, issuer.token(**{CLAIM: "me"}, **wrong)).status == 401, wrong
    another_key = Issuer(issuer.url).token(**{CLAIM: "me"})
    assert tokens(stack, another_key).status == 401
