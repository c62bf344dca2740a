"""Connections to a ClickHouse server that are given up when an answer does not end.

urllib3's time-out is for each read: an answer that trickles in never runs into it, and its thread would wait for ever.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from weakref import WeakSet

from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Connections:
    """Those of one client, which makes one call at a time; ``manager`` is for clickhouse-connect."""

    def __init__(self, scheme: str, host: str, port: int) -> None:
        proxy = check_env_proxy(scheme, host, port)
        self.manager = get_pool_manager(https_proxy=proxy) if scheme == "https" else get_pool_manager(http_proxy=proxy)
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._given_up = False
        connections = self

        class Http(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                connections._opened(self.sock)

        class Https(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                connections._opened(self.sock)

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Http

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = Https

        self.manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut what is connected when so many seconds are over.

        Raises:
            TimeoutError: that happened, instead of what it led to.
        """
        self._given_up = False
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception as error:
            if self._given_up:
                raise TimeoutError(f"no end of an answer within {seconds:g} s") from error
            raise
        finally:
            timer.cancel()

    def cut(self) -> None:
        """End what goes on, as when its time is over."""
        self._given_up = True
        for each in list(self._sockets):
            with contextlib.suppress(OSError):
                # Of the plain socket: TLS would wait for the other side.
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of them."""
        self.manager.clear()

    def _opened(self, opened: socket.socket | None) -> None:
        if self._given_up:
            raise TimeoutError  # the client tries again by itself where a connection goes
        if opened is not None:
            self._sockets.add(opened)
