"""Waits for the servers that a change of labels needs: what is waited for, how long, and what ends it."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from components.base.errors import InputError
from components.serving.servers.asked_server import AVAILABLE, END, Server, Unreachable, VersionState
from components.serving.store.models_config import MODELS_CONFIG, WAIT_SECONDS, ServedModel

_ASK_SECONDS = 1.0
_OLD_STATE_SECONDS = 10.0  # so long the error of an earlier load of the same version may be what a server still shows


class Clock(Protocol):
    """The module `time`, or the clock of a simulation."""

    def sleep(self, seconds: float, /) -> None: ...
    def monotonic(self) -> float: ...
    def time(self) -> float: ...


class PushRefused(InputError):
    """A change is refused, and the labels stay where they were. The message is one sentence."""


class LabelsMoved(PushRefused):
    """Somebody else moved the labels in the meantime."""


class NotServed(PushRefused):
    """A server does not do what it must do before the labels can move."""


class Servers(NamedTuple):
    """The servers that read a folder.

    Attributes:
        asked: Those that can be asked.
        poll_seconds: How often the others read `models.config`; 0 if nothing reads it.
        wait_seconds: The longest wait for those that are asked.
        clock: Sleeps, and tells the time.
        say: Called with a sentence that the user must see.
    """

    asked: Sequence[Server] = ()
    poll_seconds: float = 0
    wait_seconds: float = WAIT_SECONDS
    clock: Clock = time
    say: Callable[[str], None] = lambda sentence: None


NOBODY = Servers()  # nothing reads the folder


def refuse_unreachable(base: Path, servers: Servers, version: int | None = None) -> None:
    """Refuses a change if a server cannot be asked.

    Args:
        base: The folder of the versions.
        servers: The servers.
        version: A version that they must have loaded.

    Raises:
        NotServed: A server gives no answer, does not know the model, or has not loaded the version.
    """
    for server in servers.asked:
        try:
            states = server.states()
        except Unreachable as error:
            where = f"start it, or remove it from there and from {base / 'servers'}"
            raise NotServed(f"{server.url} in serving.servers cannot be reached ({error}): {where}.") from error
        if not states:
            raise NotServed(f"{server.url} in serving.servers does not serve {base.name}: start it with {base / MODELS_CONFIG}.")
        if version is not None and states.get(version, VersionState(END)).state != AVAILABLE:
            raise NotServed(f"{server.url} has not loaded version {version} of {base.name}: din status shows its state.")


def loading(servers: Servers) -> set[int]:
    """Returns the versions that a server is loading, or is about to. If they were deleted, it would try to load them for minutes."""
    states = [state for server in servers.asked for state in states_of(server).items()]
    return {version for version, state in states if state.state in ("START", "LOADING")}


def states_of(server: Server) -> dict[int, VersionState]:
    """Returns the state of each version that a server knows; none if it gives no answer."""
    try:
        return server.states()
    except Unreachable:
        return {}


class Reason(NamedTuple):
    """Why a server is waited for.

    Attributes:
        sentence: Without a full stop.
        final: Whether waiting is of no use.
    """

    sentence: str
    final: bool = False


def not_loaded(
    base: Path, servers: Servers, new: Collection[int], earlier: Sequence[dict[int, VersionState]]
) -> Callable[[Server], Reason | None]:
    """Returns a function that says what a server has not loaded."""
    start = servers.clock.monotonic()
    before = {server.url: states for server, states in zip(servers.asked, earlier, strict=True)}

    def reason(server: Server) -> Reason | None:
        states = server.states()
        for version in sorted(new):
            state = states.get(version, VersionState("not found"))
            is_old = state == before[server.url].get(version) and servers.clock.monotonic() - start < _OLD_STATE_SECONDS
            if state.state == END and state.error and not is_old:
                return Reason(f"{server.url} cannot load version {version} of {base.name}: {state.error}", final=True)
            if state.state != AVAILABLE:
                return Reason(f"{server.url} has not loaded version {version} of {base.name} (it is {state.state})")
        return None

    return reason


def not_labelled(served: ServedModel, servers: Servers) -> Callable[[Server], Reason | None]:
    """Returns a function that says which label a server has not moved."""
    start = servers.clock.monotonic()

    def reason(server: Server) -> Reason | None:
        for label, version in served.labels.items():
            if (found := server.labelled(label)) != version:
                state = server.states().get(version, VersionState("not found"))
                if state.state == END and state.error and servers.clock.monotonic() - start >= _OLD_STATE_SECONDS:
                    return Reason(f"{server.url} cannot load version {version} of {served.name}: {state.error}", final=True)
                there = f"version {found}" if found else "no version"
                return Reason(f"{server.url} still answers the label {label} of {served.name} with {there} instead of {version}")
        return None

    return reason


def wait(
    servers: Servers,
    deadline: float,
    check: Callable[[], None],
    refusal: Callable[[Server], Reason | None],
    ending: str,
    forced: bool,
) -> None:
    """Waits until no server has a reason to wait for. If it is forced, servers that give no answer get two polls.

    Raises:
        LabelsMoved: As `check` says.
        NotServed: Waiting is of no use, or took too long.
    """
    patience = servers.clock.monotonic() + 2 * servers.poll_seconds
    while True:
        check()
        reasons, silent = [], []
        for server in servers.asked:
            try:
                reason = refusal(server)
            except Unreachable as error:
                silent.append(f"{server.url} gives no answer ({error})")
                continue
            if reason and reason.final:
                raise NotServed(f"{reason.sentence}: {ending}.")
            if reason:
                reasons.append(reason.sentence)
        now = servers.clock.monotonic()
        if not reasons and (not silent or (forced and now >= patience)):
            for sentence in silent:
                servers.say(f"{sentence}: it follows when it can.")
            return
        if now >= deadline:
            raise NotServed(f"{(reasons or silent)[0]} after {servers.wait_seconds:g} s (serving.wait_seconds): {ending}.")
        servers.clock.sleep(_ASK_SECONDS)
