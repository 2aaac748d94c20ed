"""The application, and clients that call it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import httpx
import pytest
import pytest_asyncio

from bot.domain.ports import Searcher
from bot.frontends.http_api.app import create_app
from bot.frontends.http_api.auth import Access
from bot.retrieval.retriever import Retriever
from bot.services.answers import AnswerService
from bot.services.bundle import Services
from bot.services.health import Health
from bot.services.library import LibraryService
from tests.bot.conftest import Library, opened
from tests.bot.fakes import FakeHealth, FakeSearcher

TOKEN = "viva_" + "a" * 43
INSTANCE = "0123456789abcdef"
LOOPBACK = Access((TOKEN,), open_to_loopback=True)
NEEDS_KEY = Access((TOKEN,), open_to_loopback=False)

Client = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def client_of(
    services: Services, access: Access = LOOPBACK
) -> AsyncIterator[httpx.AsyncClient]:
    # Errors that nobody foresaw are raised again for the server's log; what is sent is tested here.
    transport = httpx.ASGITransport(
        create_app(services, access, INSTANCE), raise_app_exceptions=False
    )
    url = "http://127.0.0.1:8000"
    async with httpx.AsyncClient(transport=transport, base_url=url, timeout=30) as client:
        yield client


@asynccontextmanager
async def client_over(
    searcher: object | None = None, health: Health | None = None, access: Access = LOOPBACK
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of services over fakes."""
    found = searcher or FakeSearcher()
    services = Services(
        AnswerService(cast(Searcher, found)),
        LibraryService(cast(Retriever, found)),
        health or FakeHealth(),
    )
    async with client_of(services, access) as client:
        yield client


@pytest_asyncio.fixture
async def client(library: Library) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the real services over a real index, with the fake encoder."""
    async with opened(library.index) as services, client_of(services) as client:
        yield client


@pytest.fixture
def over() -> Client:
    """Return the maker of clients of services over fakes."""
    return client_over
