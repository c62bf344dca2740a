"""Waiting for conditions: tests never sleep for a fixed time."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], timeout: float = ..., every: float = ..., what: str = ...
) -> T: ...


@overload
async def eventually(condition: Callable[[], T], timeout: float = ..., every: float = ..., what: str = ...) -> T: ...


async def eventually(condition: Callable[[], Any], timeout: float = 30, every: float = 0.02, what: str = "") -> Any:
    """Ask until the answer is true, and return it; an AssertionError after ``timeout`` seconds.

    A condition may also assert: its AssertionError is a "not yet".
    """
    clock = asyncio.get_running_loop().time
    until = clock() + timeout
    while True:
        try:
            asked = condition()
            answer = await asked if isawaitable(asked) else asked
            if answer:
                return answer
        except AssertionError as error:
            answer = error
        if clock() >= until:
            about = what or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"{about} did not come true within {timeout} s; at last: {answer!r}")
        await asyncio.sleep(every)
