"""The issuer of tokens on this machine: its keys, its tokens, and what the gateway asks an issuer for.

It is no server of its own: the two documents of OpenID Connect's discovery lie in a bucket of the emulator, which
everybody may read. The private keys lie under .local/issuer, for their owner only. A token is signed by the newest of
them, and all are published: so a key is changed by a new file, and the old one is removed when its tokens have ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from pathlib import Path
from typing import Any

from local import aws, emulator, envfile
from local.errors import LocalError
from local.layout import Layout
from local.state import State

AUDIENCE = "marketplace-api"  # the default of infra/templates/api.yaml
SCOPE_PREFIX = "marketplace-local/"
SCOPES = ("analytics:read", "notifications:read")
LONGEST_SECONDS = 12 * 3600
BUCKET = f"marketplace-local-issuer-000000000000-{aws.REGION}"
CUSTOMER = re.compile(r"CUST-[0-9]{1,59}", re.ASCII)


def address(state: State) -> str:
    """Return the issuer's address, which is the claim iss of its tokens."""
    return f"{emulator.endpoint(state)}/{BUCKET}"


def _directory(layout: Layout) -> Path:
    return layout.state / "issuer"


def ensure_key(layout: Layout) -> None:
    """Make the first key, unless there is one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    directory = _directory(layout)
    directory.mkdir(mode=0o700, exist_ok=True)
    if any(directory.glob("*.pem")):
        return
    made = rsa.generate_private_key(65537, 2048)
    text = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    envfile.write_private(directory / f"{time.time_ns()}.pem", text)


def _keys(layout: Layout) -> dict[str, Any]:
    """Return the private keys by their ids, the newest last."""
    from cryptography.hazmat.primitives import serialization

    paths = sorted(_directory(layout).glob("*.pem"))
    if not paths:
        raise LocalError("There is no key to sign tokens with yet: make up")
    keys = {}
    for path in paths:
        private: Any = serialization.load_pem_private_key(path.read_bytes(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        keys[hashlib.sha256(public).hexdigest()[:16]] = private
    return keys


def key_set(layout: Layout) -> str:
    """Return the public keys, as a JSON Web Key Set."""
    from jwt.algorithms import RSAAlgorithm

    listed = []
    for kid, private in _keys(layout).items():
        jwk = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
        listed.append({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": jwk["n"], "e": jwk["e"]})
    return json.dumps({"keys": listed})


def publish(layout: Layout, state: State) -> None:
    """Put the documents where the gateway looks for them."""
    issuer = address(state)
    discovery = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
    }
    s3 = emulator.client("s3", emulator.endpoint(state))
    everybody_reads = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{BUCKET}/.well-known/*",
            }
        ],
    }
    # What was made at an earlier start may have lost all but itself since.
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(everybody_reads))
    for name, text in (("openid-configuration", json.dumps(discovery)), ("jwks.json", key_set(layout))):
        s3.put_object(Bucket=BUCKET, Key=f".well-known/{name}", Body=text.encode(), ContentType="application/json")


def token(layout: Layout, state: State, customer: str, scopes: str = "", seconds: int = 3600) -> str:
    """Return a token for a customer, with these scopes (all, if none are named), for so many seconds.

    Raises LocalError for what the APIs would refuse.
    """
    import jwt

    if not CUSTOMER.fullmatch(customer):
        raise LocalError(f"{customer or 'Nobody'} is no customer. Say one, such as: make token CUSTOMER=CUST-0001")
    chosen = scopes.replace(",", " ").split() or list(SCOPES)
    if unknown := sorted(set(chosen) - set(SCOPES)):
        raise LocalError(f"There is no scope {', '.join(unknown)}. There are: {', '.join(SCOPES)}")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise LocalError(f"A token lasts from 1 to {LONGEST_SECONDS} seconds, not {seconds}.")
    kid, private = list(_keys(layout).items())[-1]
    now = int(time.time())
    claims = {
        "iss": address(state),
        "aud": AUDIENCE,
        "sub": customer,
        "customer": customer,
        "scope": " ".join(SCOPE_PREFIX + scope for scope in chosen),
        "iat": now,
        "nbf": now,
        "exp": now + seconds,
    }
    return jwt.encode(claims, private, "RS256", {"kid": kid})
