"""Somebody who visits the portal's pages, without a browser."""

from collections.abc import AsyncIterator

import pytest

from dispatcher.portal.app import Portal
from dispatcher.settings import Settings
from tests.support.visitor import Visitor, a_visitor


@pytest.fixture
async def visitor(portal: Portal, settings: Settings) -> AsyncIterator[Visitor]:
    async with a_visitor(portal, settings) as visitor:
        yield visitor
