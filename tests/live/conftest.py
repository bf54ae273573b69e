from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
from asgiref.sync import sync_to_async

from tests.factories import make_user
from tests.live.browser import Browser, cookie_of


@pytest_asyncio.fixture
async def cookie(transactional_db: None) -> str:
    """The session cookie of a signed-in user."""
    return await cookie_of(await sync_to_async(make_user)())


@pytest_asyncio.fixture
async def tab(cookie: str) -> AsyncIterator[Callable[..., Awaitable[Browser]]]:
    """Opens tabs of a signed-in user, past the welcome; closes them at the end."""
    opened: list[Browser] = []

    async def opening(**options: Any) -> Browser:
        browser = Browser(cookie, **options)
        await browser.open()
        opened.append(browser)
        return browser

    yield opening
    for browser in opened:
        await browser.leave()
