"""Who may call."""

from __future__ import annotations

from http import HTTPStatus

import httpx
import pytest

from bot.frontends.http_api.auth import KEY_PLACE, Access, refused
from tests.bot.http_api.conftest import LOOPBACK, NEEDS_KEY, TOKEN, Client

OWN = "127.0.0.1:8000"

# host, further headers, and the status that an open loopback answers with (None: let through)
TABLE: list[tuple[str, dict[str, str], int | None]] = [
    ("127.0.0.1:8000", {}, None),
    ("localhost:8000", {}, None),
    ("LOCALHOST:8000", {}, None),
    ("[::1]:8000", {}, None),
    ("localhost", {}, None),
    # DNS rebinding: the page's own name leads to this machine
    ("evil.example:8000", {}, 403),
    ("localhost.evil.example", {}, 403),
    ("127.0.0.1.nip.io", {}, 403),
    ("127.0.0.1@evil.example", {}, 403),
    ("192.0.2.1:8000", {}, 403),
    ("0.0.0.0:8000", {}, 403),
    ("127.0.0.2:8000", {}, 403),
    ("127.0.0.1:", {}, 403),
    ("127.0.0.1:8000 ", {}, 403),
    ("127.0.0.1:80x", {}, 403),
    ("user@127.0.0.1:8000", {}, 403),
    ("localhost.:8000", {}, 403),
    ("[::1", {}, 403),
    ("[evil]:80", {}, 403),
    ("", {}, 403),
    # a page of another origin
    (OWN, {"origin": f"http://{OWN}"}, None),
    (OWN, {"origin": "http://evil.example"}, 403),
    (OWN, {"origin": "https://127.0.0.1:8000"}, 403),
    (OWN, {"origin": "http://127.0.0.1:3000"}, 403),
    (OWN, {"origin": "http://localhost:8000"}, 403),
    (OWN, {"origin": "null"}, 403),
    (OWN, {"origin": ""}, 403),
    # through a proxy
    (OWN, {"x-forwarded-for": "203.0.113.9"}, 403),
    (OWN, {"x-forwarded-host": "viva.example"}, 403),
    (OWN, {"x-forwarded-proto": "https"}, 403),
    (OWN, {"x-forwarded-server": "viva.example"}, 403),
    (OWN, {"x-forwarded-anything": ""}, 403),
    (OWN, {"true-client-ip": "203.0.113.9"}, 403),
    (OWN, {"cf-connecting-ip": "203.0.113.9"}, 403),
    (OWN, {"x-real-ip": "203.0.113.9"}, 403),
    (OWN, {"forwarded": "for=203.0.113.9"}, 403),
    (OWN, {"via": "1.1 proxy"}, 403),
    # keys
    (OWN, {"authorization": f"Bearer {TOKEN}"}, None),
    (OWN, {"authorization": f"bearer {TOKEN}"}, None),
    ("viva.example", {"authorization": f"Bearer {TOKEN}", "x-forwarded-for": "1.2.3.4"}, None),
    (OWN, {"authorization": f"Bearer {TOKEN[:-1]}b"}, 401),
    (OWN, {"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
    (OWN, {"authorization": "Bearer \xa0"}, None),
    ("evil.example", {"authorization": "Bearer \xa0"}, 403),
    (OWN, {"authorization": f"Basic {TOKEN}"}, 401),
    (OWN, {"authorization": "Bearer ä"}, 401),
]


@pytest.mark.parametrize(("host", "headers", "status"), TABLE)
def test_an_open_loopback_lets_in_programs_of_this_machine_and_bearers_of_the_key(
    host: str, headers: dict[str, str], status: int | None
) -> None:
    found = refused({"host": host} | headers, "http", LOOPBACK)

    assert (found[0] if found else None) == status
    assert found is None or found[1]


@pytest.mark.parametrize(("host", "headers", "status"), TABLE)
async def test_the_application_answers_as_the_table_says(
    over: Client, host: str, headers: dict[str, str], status: int | None
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    async with over() as client:
        response = await client.get("/", headers=[(b"host", host.encode()), *raw])

    assert response.status_code == (status or 200)
    if status:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["title"] == HTTPStatus(status).phrase
        assert response.json()["repair"] == (KEY_PLACE if status == 401 else "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer \xa0"}, 401),
        ({"authorization": "\xa0 \xa0"}, 401),
        ({"authorization": "Bearer viva_wrong"}, 401),
        ({"authorization": TOKEN}, 401),
        ({"authorization": f"Bearer {TOKEN}"}, 200),
    ],
)
async def test_on_another_address_nobody_is_let_in_without_the_key(
    over: Client, headers: dict[str, str], status: int
) -> None:
    async with over(access=NEEDS_KEY) as client:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = await client.get("/", headers=raw)

    assert response.status_code == status
    if status == 401:
        assert response.json()["repair"] == KEY_PLACE
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/ask", "/v1/search?q=a", "/v1/notes/a", "/openapi.json"])
async def test_no_resource_is_open_without_the_key(over: Client, path: str) -> None:
    async with over(access=NEEDS_KEY) as client:
        assert (await client.get(path)).status_code == 401
        assert (await client.post(path)).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize(
    "headers", [{}, {"host": "evil.example"}, {"x-forwarded-for": "203.0.113.9"}]
)
async def test_whether_it_lives_may_be_asked_by_anybody(
    over: Client, path: str, headers: dict[str, str]
) -> None:
    async with over(access=NEEDS_KEY) as client:
        assert (await client.get(path, headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/healthz/", "//healthz", "/healthz/../v1/search", "/v1/healthz"])
async def test_what_only_looks_like_it_is_not_open(over: Client, path: str) -> None:
    async with over(access=NEEDS_KEY) as client:
        response = await client.get(httpx.URL("http://127.0.0.1:8000").copy_with(path=path))

    assert response.status_code == 401


def test_without_any_key_no_token_is_valid() -> None:
    nobody = Access((), open_to_loopback=False)

    for blank in ("", " ", "\xa0"):
        assert refused({"authorization": f"Bearer {blank}"}, "http", nobody)
    assert refused({"authorization": "Bearer x"}, "http", nobody) == (
        401,
        "The key is not valid.",
    )


def test_blanks_match_no_key_that_is_empty() -> None:
    careless = Access(("",), open_to_loopback=False)

    assert refused({"authorization": "Bearer \xa0"}, "http", careless)
