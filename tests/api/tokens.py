"""Tokens as an issuer makes them, and as an attacker would."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://issuer.example"
AUDIENCE = "marketplace-api"
CUSTOMER = "CUST-0001"
SCOPES = "analytics:read notifications:read"


@dataclass(frozen=True)
class Key:
    """A key pair of an issuer."""

    kid: str
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def jwk(self) -> dict[str, Any]:
        """Return the public half, as a key set has it."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "use": "sig"}


def key_set(*keys: Key) -> str:
    """Return a JSON Web Key Set."""
    return json.dumps({"keys": [key.jwk() for key in keys]})


def claims(**changed: Any) -> dict[str, Any]:
    """Return what a good token claims, but for what is `changed`; None leaves a claim out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now - 10,
        "nbf": now - 10,
        "exp": now + 600,
        "scope": SCOPES,
        "customer": CUSTOMER,
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def signed(key: Key, headers: dict[str, Any] | None = None, **changed: Any) -> str:
    """Return a token signed by RS256."""
    return jwt.encode(claims(**changed), key.private, "RS256", {"kid": key.kid} | (headers or {}))


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
