"""Well-known client libraries against an OpenID Connect issuer: PyJWT checks tokens, Authlib signs a user in."""

import json
import sys

import jwt
import requests
from authlib.integrations.requests_client import OAuth2Session
from jwt import PyJWKClient

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


def discover(issuer: str) -> dict:
    answer = requests.get(issuer.rstrip("/") + "/.well-known/openid-configuration", timeout=10)
    answer.raise_for_status()
    document = answer.json()
    assert document["issuer"] == issuer, document
    return document


def verify(document: dict, token: str, audience: str) -> dict:
    key = PyJWKClient(document["jwks_uri"]).get_signing_key_from_jwt(token)
    return jwt.decode(
        token,
        key.key,
        algorithms=ALGORITHMS,
        audience=audience,
        issuer=document["issuer"],
        options={"require": ["exp", "iat", "iss", "sub", "aud"]},
    )


def is_refused(document: dict, token: str, audience: str) -> bool:
    try:
        verify(document, token, audience)
    except jwt.PyJWTError:
        return True
    return False


def sign_in(document: dict, client: dict) -> dict:
    """The authorization code flow with PKCE, as a browser and a web server do it together."""
    session = OAuth2Session(
        client["id"],
        client.get("secret"),
        scope="openid email",
        redirect_uri=client["redirect_uri"],
        code_challenge_method="S256",
    )
    verifier = "v" * 64
    url, state = session.create_authorization_url(
        document["authorization_endpoint"], code_verifier=verifier, nonce="the-nonce"
    )
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    tokens = session.fetch_token(
        document["token_endpoint"],
        authorization_response=answer.headers["location"],
        code_verifier=verifier,
        state=state,
    )
    claims = verify(document, tokens["id_token"], client["id"])
    assert claims["nonce"] == "the-nonce", claims
    return claims


def main() -> None:
    request = json.load(sys.stdin)
    document = discover(request["issuer"])
    audience = request["audience"]
    answer = {
        "claims": [verify(document, token, audience) for token in request["tokens"]],
        "refused": [is_refused(document, token, audience) for token in request["hostile"]],
        "user": sign_in(document, request["client"]),
    }
    json.dump(answer, sys.stdout)


main()
