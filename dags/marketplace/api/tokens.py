"""Who asks: the bearer token, checked by the app itself, whatever the gateway before it has checked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import jwt

from marketplace.api.config import Config
from marketplace.api.problems import Problem

ANALYTICS = "analytics:read"
NOTIFICATIONS = "notifications:read"
LONGEST = 8192  # characters: more than any of ours, and little to compute on
REALM = 'Bearer realm="marketplace"'
CUSTOMER = re.compile(r"CUST-[0-9]{1,59}", re.ASCII)


@dataclass(frozen=True)
class Caller:
    """Whom a token speaks for: what it may ask, and the customer whose notifications it may read."""

    scopes: frozenset[str]
    customer: str | None


class Tokens:
    """Checks tokens: signed by RS256 with a key that is configured, of our issuer, for us, and now."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def caller(self, authorization: str | None, scope: str) -> Caller:
        """Return whom the header `Authorization` speaks for, when it may do what `scope` allows. Raises Problem."""
        if authorization is None:
            raise _unauthorized("This needs a token: Authorization: Bearer …", "")
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token or len(token) > LONGEST:
            raise _unauthorized("The header Authorization must be: Bearer, a space, and a token.", "invalid_request")
        claims = self._claims(token.strip())
        granted = claims.get("scope", "")
        scopes = frozenset(granted.split() if isinstance(granted, str) else ())
        if self._config.scope_prefix + scope not in scopes:
            wanted = self._config.scope_prefix + scope
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"The token has not the scope {wanted}.",
                headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{wanted}"'},
            )
        customer = claims.get(self._config.customer_claim)
        known = isinstance(customer, str) and CUSTOMER.fullmatch(customer)
        return Caller(scopes, customer if known else None)

    def _claims(self, token: str) -> dict[str, Any]:
        """Return what a token that is good claims. Raises Problem, not saying which check failed."""
        try:
            header = jwt.get_unverified_header(token)
            key = self._config.token_keys[header["kid"]]
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=self._config.issuer,
                # By hand, below: Cognito's access tokens have a client_id and no aud.
                options={"require": ["exp", "iss"], "verify_aud": False},
            )
        except (jwt.InvalidTokenError, KeyError, TypeError):
            raise _unauthorized("The token is not valid, or no longer.", "invalid_token") from None
        audience = claims.get("aud", claims.get("client_id"))
        if not _texts(audience) & self._config.audiences or claims.get("token_use", "access") != "access":
            raise _unauthorized("The token is not valid, or no longer.", "invalid_token")
        return claims


def _texts(value: object) -> set[str]:
    """Return the audiences of a claim, which is one text or a list of them."""
    return {entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, str)}


def _unauthorized(detail: str, error: str) -> Problem:
    challenge = f'{REALM}, error="{error}"' if error else REALM
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
