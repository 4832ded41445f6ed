"""The HTTP connections of the stand-in: one whose request stays incomplete is ended, after the time that libevent takes in TF Serving."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

READ_SECONDS = 50.0  # HTTP_READ_TIMEOUT of libevent


class HttpProtocol(H11Protocol):
    """uvicorn's connection, which alone would wait for the rest of a request without end."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: only a request that is complete gets its answer."""
        if not self._end_if_incomplete():
            super().shutdown()

    def _wait(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(READ_SECONDS, self._end_if_incomplete)

    def _end_if_incomplete(self) -> bool:
        incomplete = self.cycle is None or self.cycle.response_complete or self.cycle.more_body
        if incomplete:
            self.transport.close()
        return incomplete
