"""Messages about transactions, kept in order until the central system has answered each: through drops and reconnects."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ocpp.exceptions import OCPPError

from .journal import Journal

ATTEMPTS = 3


@dataclass
class Message:
    # Built when it is sent: a 1.6 transaction's id is known only once its start was answered.
    build: Callable[[], Any]
    answered: Callable[[Any], Awaitable[None]] | None
    refusals: int = 0


class Delivery:
    def __init__(self, journal: Journal, duplicate: bool):
        self._journal = journal
        self._duplicate = duplicate
        self._messages: deque[Message] = deque()
        self._some = asyncio.Event()
        self._online = False

    def put(self, build: Callable[[bool], Any], answered: Callable[[Any], Awaitable[None]] | None = None) -> None:
        """`build(offline)` makes the payload; `offline`: no socket was open when it was put. `answered` gets the answer,
        or None when the message was refused too often and given up."""
        offline = not self._online
        self._messages.append(Message(lambda: build(offline), answered))
        self._some.set()

    async def run(self, call: Callable[..., Awaitable[Any]]) -> None:
        """Sends for as long as the socket behind `call` lives."""
        self._online = True
        try:
            while True:
                while not self._messages:
                    self._some.clear()
                    await self._some.wait()
                await self._send(self._messages[0], call)
        finally:
            self._online = False

    async def _send(self, message: Message, call: Callable[..., Awaitable[Any]]) -> None:
        payload = message.build()
        action = type(payload).__name__
        try:
            answer = await call(payload, suppress=False)
            if self._duplicate:
                await call(payload, suppress=False)
                self._journal.tell("duplicate", action=action)
        except (OCPPError, asyncio.TimeoutError) as refused:
            message.refusals += 1
            self._journal.tell("refused", action=action, error=f"{type(refused).__name__}: {refused}")
            if message.refusals < ATTEMPTS:
                await asyncio.sleep(message.refusals)
                return
            answer = None
        self._messages.popleft()
        if message.answered:
            await message.answered(answer)
