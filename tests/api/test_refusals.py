"""What is refused: each attack by the right status, with what was wrong and never with more than that."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from psycopg import sql

from marketplace import store
from marketplace.api import config as configuration
from marketplace.api import database
from marketplace.api.app import create_app
from marketplace.api.config import ConfigError, read_keys
from tests.api import tokens
from tests.api.client import Client

PATHS = ["/aggregated-data", "/notifications", "/notifications/unread", "/notifications/MjAyNi0xMS0yMiNSVUxFLTc"]
DAYS = {"from": "2025-01-01", "to": "2025-12-31"}
INJECTIONS = ["' or 1=1 --", "1; drop table store.game", "%(games)s", "{key}", "\\'; select pg_sleep(9) --", "$1"]
# What no answer may have: words of the store, of the language, of the libraries, and of keys.
SECRET = ["select ", "geo.", "store.", "psycopg", "traceback", 'file "', "pydantic", "relation", "password", "begin "]


def refusal(answer: Any, status: int, parameter: str | None = None) -> dict[str, Any]:
    """Return an answer's problem, once it is one of this status and about this parameter."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"] == "the-request="
    assert not [word for word in SECRET if word in answer.text.lower()]
    if parameter is not None:
        assert [error["parameter"] for error in problem["errors"]] == [parameter]
        assert all(error["detail"] and error["accepted"] for error in problem["errors"])
    return problem


# ------------------------------------------------------------------------------------------------------- tokens


def unsigned(issuer_key: tokens.Key) -> str:
    return jwt.encode(tokens.claims(), "", "none", {"kid": issuer_key.kid})


def signed_with_the_public_key(issuer_key: tokens.Key) -> str:
    """The attack on libraries that take any algorithm: HMAC, by the public key as its secret."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    import hashlib
    import hmac

    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': issuer_key.kid})}.{part(tokens.claims())}"
    secret = json.dumps(issuer_key.jwk()).encode()
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def tampered(issuer_key: tokens.Key) -> str:
    head, _body, signature = tokens.signed(issuer_key).split(".")
    body = base64.urlsafe_b64encode(json.dumps(tokens.claims(customer="CUST-0002")).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


BAD_TOKENS = {
    "expired": lambda key: tokens.signed(key, exp=int(time.time()) - 1),
    "not yet valid": lambda key: tokens.signed(key, nbf=int(time.time()) + 60),
    "without an end": lambda key: tokens.signed(key, exp=None),
    "of another issuer": lambda key: tokens.signed(key, iss="https://other.example"),
    "of no issuer": lambda key: tokens.signed(key, iss=None),
    "for another audience": lambda key: tokens.signed(key, aud="other"),
    "for nobody": lambda key: tokens.signed(key, aud=None),
    "for an audience that is no text": lambda key: tokens.signed(key, aud=[["marketplace-api"]]),
    "an ID token": lambda key: tokens.signed(key, token_use="id"),
    "unsigned": unsigned,
    "signed with the public key": signed_with_the_public_key,
    "changed after it was signed": tampered,
    "of a stranger's key": lambda key: tokens.signed(tokens.Key(key.kid)),
    "of an unknown key": lambda key: tokens.signed(key, {"kid": "other"}),
    "of a key by address": lambda key: tokens.signed(key, {"kid": "other", "jku": "https://other.example/keys"}),
    "that brings its key": lambda key: tokens.signed(tokens.Key("own"), {"kid": "own", "jwk": tokens.Key("own").jwk()}),
    "of a key that is no text": lambda key: "eyJhbGciOiJSUzI1NiIsImtpZCI6W119.e30.AA",
    "no token": lambda key: "abc",
    "much too long": lambda key: "a" * 10_000,
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_token_that_is_not_good_is_refused(client, issuer_key, name, path):
    answer = client.get(path, DAYS, tokens.bearer(BAD_TOKENS[name](issuer_key)))

    refusal(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "bearer"])
def test_without_a_token_nothing_is_answered(client, header, path):
    refusal(client.get(path, DAYS, {} if header is None else {"Authorization": header}), 401)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scope", [None, "", "other", "analytics:readx notifications:write", 7, ["analytics:read"]])
def test_a_token_without_the_scope_is_forbidden(client, issuer_key, path, scope):
    answer = client.get(path, DAYS, tokens.bearer(tokens.signed(issuer_key, scope=scope)))

    refusal(answer, 403)
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_one_scope_opens_one_part(client, issuer_key):
    analyst = tokens.bearer(tokens.signed(issuer_key, scope="analytics:read"))
    reader = tokens.bearer(tokens.signed(issuer_key, scope="notifications:read"))

    assert [client.get("/aggregated-data", DAYS, who).status_code for who in (analyst, reader)] == [200, 403]
    assert [client.get("/notifications", (), who).status_code for who in (analyst, reader)] == [403, 200]


@pytest.mark.parametrize("customer", [None, "", "PLATFORM", "CUST-0001#", "CUST-", 1, ["CUST-0001"], "CUST-١"])
def test_a_token_that_names_no_customer_reads_no_notifications(client, issuer_key, customer):
    who = tokens.bearer(tokens.signed(issuer_key, customer=customer))

    refusal(client.get("/notifications", (), who), 403)
    assert client.get("/aggregated-data", DAYS, who).status_code == 200


def test_scopes_are_spelled_as_cognito_does_where_that_is_configured(config, issuer_key):
    client = Client(create_app(replace(config, scope_prefix="marketplace-dev/")))
    good, bare = (
        tokens.bearer(tokens.signed(issuer_key, scope=scope))
        for scope in ("marketplace-dev/analytics:read", tokens.SCOPES)
    )

    assert client.get("/aggregated-data", DAYS, good).status_code == 200
    refusal(client.get("/aggregated-data", DAYS, bare), 403)


def test_cognitos_access_tokens_name_their_client_instead_of_an_audience(config, issuer_key):
    client = Client(create_app(replace(config, customer_claim="username")))
    cognito = {"aud": None, "token_use": "access", "customer": None, "username": "CUST-0001"}

    good = tokens.signed(issuer_key, **cognito, client_id=tokens.AUDIENCE)
    assert client.get("/notifications", (), tokens.bearer(good)).status_code == 200
    refusal(client.get("/notifications", (), tokens.bearer(tokens.signed(issuer_key, **cognito, client_id="x"))), 401)


def test_keys_are_rotated_without_a_token_refused(config, issuer_key):
    new = tokens.Key("second")
    both = Client(create_app(replace(config, token_keys=read_keys(tokens.key_set(issuer_key, new)))))
    after = Client(create_app(replace(config, token_keys=read_keys(tokens.key_set(new)))))
    old_token, new_token = (tokens.bearer(tokens.signed(key)) for key in (issuer_key, new))

    assert [both.get("/notifications", (), token).status_code for token in (old_token, new_token)] == [200, 200]
    assert [after.get("/notifications", (), token).status_code for token in (old_token, new_token)] == [401, 200]


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "{}",
        '{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}',
        '{"keys": [{"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA"}]}',
        '{"keys": [{"kty": "RSA", "kid": "a"}]}',
    ],
)
def test_keys_that_are_none_end_the_start(keys):
    with pytest.raises(ConfigError, match="API_TOKEN_KEYS must be"):
        read_keys(keys)


def test_keys_that_are_private_short_or_without_an_id_end_the_start(issuer_key):
    private = jwt.algorithms.RSAAlgorithm.to_jwk(issuer_key.private, as_dict=True)
    short = tokens.Key("short", rsa.generate_private_key(65537, 1024))  # noqa: S505 - that is the point
    for keys in ([private | {"kid": "a"}], [short.jwk()], [issuer_key.jwk() | {"kid": None}], [issuer_key.jwk()] * 2):
        with pytest.raises(ConfigError, match="API_TOKEN_KEYS must be"):
            read_keys(json.dumps({"keys": keys}))


def test_a_configuration_shows_no_secret(config):
    assert config.store_password not in repr(config)
    assert "kkk" not in repr(config)


def test_a_short_cursor_key_ends_the_start(monkeypatch):
    monkeypatch.setenv("MARKETPLACE_API_CURSOR_KEY", "short")
    with pytest.raises(ConfigError, match="API_CURSOR_KEY has 5 characters"):
        configuration.from_settings()


# --------------------------------------------------------------------------------------------------- parameters


def ring(points: int) -> str:
    import math

    corners = [
        f"{10 + math.cos(math.tau * n / points):.3f} {50 + math.sin(math.tau * n / points):.3f}" for n in range(points)
    ]
    return f"POLYGON(({', '.join([*corners, corners[0]])}))"


@pytest.mark.parametrize(
    ("parameter", "value", "status"),
    [
        ("from", "yesterday", 400),
        ("from", "2025-02-30", 400),
        ("from", "2026-01-01", 422),
        ("to", "2026-01-02", 422),
        ("to", "infinity", 400),
        ("to", "0", 400),
        ("to", "2025-12-31T00:00:00", 400),
        ("players", "1", 400),
        ("bbox", "1,2,3", 400),
        ("bbox", "1,2,3,NaN", 400),
        ("bbox", "1,2,3,1e1", 400),
        ("bbox", "1,2,3,inf", 400),
        ("bbox", "200,0,1,1", 422),
        ("bbox", "0,0,1,91", 422),
        ("bbox", "0,5,1,5", 422),
        ("bbox", "0,5,1,4", 422),
        ("polygon", "POLYGON((0 0, 1 1, 1 0, 0 1, 0 0))", 422),
        ("polygon", "POLYGON((0 0, NaN 1, 1 0, 0 0))", 400),
        ("polygon", "POLYGON((0 0, 1e999 1, 1 0, 0 0))", 400),
        ("polygon", "POLYGON((0 0, 999 1, 1 0, 0 0))", 422),
        ("polygon", "POLYGON((0 0, 1 1, 1 0))", 422),
        ("polygon", "POLYGON((0 0))", 422),
        ("polygon", "POLYGON((0 0, 1 1, 1 0, 0 0), (5 5, 6 6, 6 5, 5 5))", 422),
        ("polygon", "POLYGON(((((())))", 422),
        ("polygon", "POLYGON EMPTY", 400),
        ("polygon", "SRID=3857;POLYGON((0 0, 1 1, 1 0, 0 0))", 400),
        ("polygon", "LINESTRING(0 0, 1 1)", 400),
        ("polygon", ring(10_000), 400),
        ("point", "north", 400),
        ("radius_km", "NaN", 400),
        ("radius_km", "inf", 400),
        ("radius_km", "0", 400),
        ("radius_km", "1001", 400),
        ("radius_km", "1", 422),
        ("area", "", 400),
        ("area", "a\x00b", 400),
        ("area", "x" * 201, 400),
        ("game", "x" * 65, 400),
        ("genre", "", 400),
        ("platform", "x" * 51, 400),
        ("group_by", "customer", 400),
        ("group_by", "a.player_ids", 400),
        ("players", "maybe", 400),
        ("format", "csv", 400),
        ("limit", "0", 400),
        ("limit", "1001", 400),
        ("limit", "999999999999999999999999", 400),
        ("limit", "1.5", 400),
        ("cursor", "x", 422),
        ("cursor", "not base64!", 400),
        ("cursor", "x" * 1001, 400),
        ("order_by", "1", 400),
        ("customer", "CUST-0002", 400),
    ],
)
def test_a_parameter_that_is_wrong_is_named_with_the_form_it_must_have(get, parameter, value, status):
    wrong = {parameter: value} | ({"group_by": "day"} if parameter == "players" else {})
    point = {} if parameter != "point" else {"radius_km": 1}

    refusal(get(**point, **wrong), status, parameter if (parameter, value) != ("radius_km", "1") else "point")


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"bbox": "0,0,1,1", "area": "WEST"}, "area"),
        ({"point": "0,0"}, "radius_km"),
        ({"point": "0,91", "radius_km": 1}, "point"),
        ({"format": "geojson", "group_by": "day"}, "format"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(get, parameters, parameter):
    refusal(get(**parameters), 422, parameter)


@pytest.mark.parametrize("parameter", ["from", "to"])
def test_the_days_must_be_given(get, parameter):
    problem = refusal(get(**{parameter: None}), 400, parameter)
    assert problem["errors"][0]["detail"] == "it is missing"
    assert "YYYY-MM-DD" in problem["errors"][0]["accepted"]


def test_a_parameter_that_comes_twice_is_refused(client, issuer_key):
    twice = [*DAYS.items(), ("game", "G1"), ("game", "G2")]
    refusal(client.get("/aggregated-data", twice, tokens.bearer(tokens.signed(issuer_key))), 400, "game")


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize(
    ("parameter", "status"),
    [
        ("from", 400), ("to", 400), ("bbox", 400), ("polygon", 400), ("point", 400), ("radius_km", 400),
        ("group_by", 400), ("players", 400), ("format", 400), ("limit", 400), ("area", 404), ("game", 404),
    ],
)  # fmt: skip
def test_sql_in_a_parameter_is_refused(get, parameter, status, injection):
    refusal(get(**{parameter: injection}), status, parameter)


@pytest.mark.parametrize("injection", INJECTIONS)
@pytest.mark.parametrize("parameter", ["genre", "platform"])
def test_sql_in_a_free_text_is_text_that_nothing_has(get, parameter, injection):
    assert get(**{parameter: injection}).json() == {"groups": [], "next": None}


@pytest.mark.parametrize("injection", INJECTIONS)
def test_sql_in_a_cursor_is_refused(get, injection):
    assert get(cursor=injection).status_code in (400, 422)
    smuggled = base64.urlsafe_b64encode(b"0" * 16 + json.dumps(injection).encode()).decode().rstrip("=")
    refusal(get(cursor=smuggled), 422, "cursor")


# ------------------------------------------------------------------------------------------------------ cursors


def test_a_cursor_that_was_changed_is_refused(get):
    cursor = get(group_by="day", limit=1).json()["next"]
    assert get(group_by="day", limit=2, cursor=cursor).status_code == 200

    for place in range(len(cursor)):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        refusal(get(group_by="day", limit=1, cursor=changed), 422, "cursor")
    for changed in (cursor[:-1], cursor + "A", cursor + "=", cursor * 2):
        assert get(group_by="day", limit=1, cursor=changed).status_code in (400, 422)


@pytest.mark.parametrize("other", [{"group_by": "game"}, {"game": "G1"}, {"from": "2025-01-02"}, {"players": True}])
def test_a_cursor_of_another_question_is_refused(get, other):
    cursor = get(group_by="day", limit=1).json()["next"]

    refusal(get(**({"group_by": "day"} | other), limit=1, cursor=cursor), 422, "cursor")


def test_a_cursor_of_another_key_is_refused(get, config, issuer_key):
    cursor = get(group_by="day", limit=1).json()["next"]
    other = Client(create_app(replace(config, cursor_key=b"o" * 32)))

    asked = {**DAYS, "group_by": "day", "limit": 1, "cursor": cursor}
    refusal(other.get("/aggregated-data", asked, tokens.bearer(tokens.signed(issuer_key))), 422, "cursor")


# ------------------------------------------------------------------------------------------------------ the rest


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/docs", 404), ("GET", "/aggregated-data/", 404), ("POST", "/aggregated-data", 405),
     ("DELETE", "/notifications/abc", 405), ("TRACE", "/notifications", 405)],
)  # fmt: skip
def test_what_there_is_not_is_told_as_a_problem(client, method, path, status):
    refusal(client.request(method, path), status)


def test_a_store_that_does_not_answer_is_told_without_details(config, issuer_key):
    client = Client(create_app(replace(config, store_port=1)))
    answer = client.get("/aggregated-data", DAYS, tokens.bearer(tokens.signed(issuer_key)))

    refusal(answer, 503)
    assert answer.headers["retry-after"] == "5"
    assert "127.0.0.1" not in answer.text


def test_a_statement_that_takes_too_long_is_told_as_503(config, issuer_key, monkeypatch):
    monkeypatch.setitem(database.SETTINGS, "statement_timeout", 1)
    monkeypatch.setattr(store, "query", lambda _path, **_identifiers: sql.SQL("select pg_sleep(1)").format())
    client = Client(create_app(config))
    answer = client.get("/aggregated-data", DAYS, tokens.bearer(tokens.signed(issuer_key)))

    refusal(answer, 503)
    assert answer.headers["retry-after"] == "30"
    assert "ask for fewer days" in answer.json()["detail"]
