"""Logs the requests that the stand-in has answered, as TF Serving's request logging does: TFRecords of PredictionLogs.

A thread writes them, so that a slow disk does not slow the answers. If the disk is full, requests are lost: the terminal says so, and
serving goes on.
"""

import os
import queue
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.base.errors import InputError, explain_place
from components.base.tfrecord import frame

_WAITING = 10_000  # requests; more than these are lost
_FILE_BYTES = 64 << 20  # after this a new file is begun


class RequestLog:
    """A log in a folder. Its files are called `requests-DATE-TIME-PID-NUMBER.tfrecord`.

    Args:
        folder: It is made if it is not there.
        sample: The share of the requests that are logged.
        say: Called with one line when requests are lost, and when they are no longer.
        file_bytes: After so many bytes a new file is begun.

    Raises:
        InputError: The folder cannot be written.
    """

    def __init__(self, folder: Path, sample: float = 1.0, say: Callable[[str], None] = lambda line: None, file_bytes: int = _FILE_BYTES):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}): name another folder with --log-requests.") from error
        if not os.access(folder, os.W_OK):
            raise InputError(f"{folder} cannot be written: name another folder with --log-requests.")
        self._folder, self._sample, self._say, self._file_bytes = folder, sample, say, file_bytes
        self._begun = f"requests-{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}"
        self._number, self._file, self._size = 0, -1, 0
        self._lost, self._failing = 0, False
        self._random = random.Random()
        self._queue: queue.Queue[Any] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._write_all, name="request log", daemon=True)
        self._thread.start()

    def wants(self) -> bool:
        """Whether the next request is in the sample."""
        return self._random.random() < self._sample

    def add(self, request: Any, response: Any) -> None:
        """Logs a PredictRequest and its PredictResponse, which names the version. It returns at once."""
        try:
            self._queue.put_nowait((int(time.time()), request, response))
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Writes what is waiting, and ends. It says how many requests were lost."""
        self._queue.put(None)
        self._thread.join()
        if self._file >= 0:
            os.close(self._file)
        if self._lost:
            self._say(f"{self._lost} requests are not in the log {self._folder}.")

    def _write_all(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                self._append(frame(self._record(*item)))
                if self._failing:
                    self._say(f"Requests are logged again, after {self._lost} were lost.")
                    self._failing = False
            except OSError as error:
                self._lost += 1
                if not self._failing:
                    self._say(f"Requests are served, but not logged: {explain_place(error) or error}")
                    self._failing = True

    def _record(self, seconds: int, request: Any, response: Any) -> bytes:
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

        log = PredictionLog()
        log.log_metadata.model_spec.CopyFrom(response.model_spec)
        log.log_metadata.sampling_config.sampling_rate = self._sample
        log.log_metadata.timestamp_secs = seconds
        log.predict_log.request.CopyFrom(request)
        log.predict_log.response.CopyFrom(response)
        return log.SerializeToString()

    def _append(self, record: bytes) -> None:
        """Appends a whole record, or nothing.

        Raises:
            OSError: It cannot be written.
        """
        if self._file < 0 or self._size >= self._file_bytes:
            self._begin_file()
        written = 0
        try:
            while written < len(record):
                written += os.write(self._file, record[written:])
        except OSError as error:
            error.filename = error.filename or str(self._folder)
            os.ftruncate(self._file, self._size)
            raise
        self._size += written

    def _begin_file(self) -> None:
        path = self._folder / f"{self._begun}-{self._number:05d}.tfrecord"
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)  # requests tell about users
        if self._file >= 0:
            os.close(self._file)
        self._number, self._file, self._size = self._number + 1, new, 0
