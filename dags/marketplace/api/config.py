"""What the APIs need to know of where they run, read once at the start, and checked then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace import settings

SMALLEST_KEY_BITS = 2048
SHORTEST_CURSOR_KEY = 32  # characters


class ConfigError(RuntimeError):
    """A setting is there and cannot be right; the message names it and says what would be."""


@dataclass(frozen=True)
class Config:
    """Where the store and the notifications are, whose tokens are good, and by which key cursors are signed.

    token_keys   public keys by their id, as PyJWT takes them; several, so that a new one can come first
    audiences    of which a token names one, as `aud` or (Cognito) as `client_id`
    """

    store_host: str
    store_port: int
    store_database: str
    store_password: str = field(repr=False)  # empty: a token of IAM
    notification_table: str
    issuer: str
    audiences: frozenset[str]
    token_keys: Mapping[str, Any]
    scope_prefix: str
    customer_claim: str
    cursor_key: bytes = field(repr=False)


def from_settings() -> Config:
    """Return what the settings say. Raises SettingsError for one that is missing, ConfigError for one that is wrong."""
    cursor_key = settings.setting("API_CURSOR_KEY")
    if len(cursor_key) < SHORTEST_CURSOR_KEY:
        raise ConfigError(
            f"API_CURSOR_KEY has {len(cursor_key)} characters; at least {SHORTEST_CURSOR_KEY} are wanted."
        )
    return Config(
        store_host=settings.setting("STORE_HOST"),
        store_port=int(settings.setting("STORE_PORT")),
        store_database=settings.setting("STORE_DATABASE"),
        store_password=settings.optional_setting("STORE_PASSWORD"),
        notification_table=settings.setting("NOTIFICATION_TABLE"),
        issuer=settings.setting("API_ISSUER"),
        audiences=frozenset(settings.setting("API_AUDIENCES").split(",")),
        token_keys=read_keys(settings.setting("API_TOKEN_KEYS")),
        scope_prefix=settings.optional_setting("API_SCOPE_PREFIX"),
        customer_claim=settings.setting("API_CUSTOMER_CLAIM"),
        cursor_key=cursor_key.encode(),
    )


def read_keys(text: str) -> dict[str, Any]:
    """Return the public keys of a JSON Web Key Set, by their ids. Raises ConfigError."""
    from jwt import InvalidKeyError, PyJWK, PyJWKError

    def wrong(why: str) -> ConfigError:
        return ConfigError(f'API_TOKEN_KEYS must be {{"keys": [{{"kty": "RSA", "kid": …, "n": …, "e": …}}, …]}}: {why}')

    try:
        listed = json.loads(text)["keys"]
        keys: dict[str, Any] = {}
        for entry in listed:
            # An algorithm that the key itself names counts for nothing: it is always RS256 here.
            key = PyJWK({**entry, "alg": "RS256"}, algorithm="RS256").key
            if not hasattr(key, "public_numbers") or hasattr(key, "private_numbers"):
                raise wrong("a key is not a public one")
            if key.key_size < SMALLEST_KEY_BITS:
                raise wrong(f"a key has {key.key_size} bits; at least {SMALLEST_KEY_BITS} are wanted")
            if not isinstance(entry.get("kid"), str) or entry["kid"] in keys:
                raise wrong("each key needs an id (kid) of its own")
            keys[entry["kid"]] = key
    except (ValueError, KeyError, TypeError, PyJWKError, InvalidKeyError) as error:
        raise wrong(type(error).__name__) from None
    return keys
