"""Tries the real push, promote and rollback on simulated TF Servings, in random sequences: `python -m benchmarks.hardening.label_protocol`.

A sequence has one or two servers, with loads of 0 to 45 s and polls of 1 to 60 s. It mixes pushes of sound models and of models that some
servers cannot load, canaries, promotions and rollbacks; servers that stand still for up to ten minutes or start again; and processes that
are killed while they wait, or that meet others. In every other sequence the servers can be asked (`serving.servers`). It ends with a push
of a sound model. Findings are a server that does not serve it (it is stuck for ever), a label that stops answering, a load of a version
that was deleted, and a change that waits with the lock in its hand. `--first N --sequences 1` runs one sequence again.

Two things cannot be had without asking, and are left out for servers that are not asked: they are not started again while
`models.config` has a label at a version that they cannot load, since they would accept it when they start; and the load of a version that
was deleted meanwhile is no finding, since it only costs time.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from benchmarks.hardening.label_world import World, remove, without_tensorflow
from components.serving.store.models_config import read_models_config
from pipeline.terminal import say

_QUIET_SECONDS = 2_000.0  # the longest freeze, a start with a version that breaks, and several polls
_LONGEST_GAP = 0.1  # seconds; TF Serving's manager wakes as often
_STEPS = 8
_KINDS = (*("push",) * 3, *("canary",) * 2, "broken", "again", "promote", "rollback", "rollback to", "freeze", "restart")


class Outcome(NamedTuple):
    """What a sequence did.

    Attributes:
        asked: Whether its servers were asked.
        done: The number of changes by kind.
        refused: How many of them were refused.
        findings: What must never happen, in sentences.
        longest_gap: For how many seconds a label stopped at most.
        seconds: The virtual time that passed.
    """

    asked: bool
    done: Counter[str]
    refused: int
    findings: list[str]
    longest_gap: float
    seconds: float


def run_sequence(number: int, place: Path) -> Outcome:
    """Runs one sequence.

    Args:
        number: It decides what happens.
        place: A folder for its files, which is removed.
    """
    dice = random.Random(number)
    asked = number % 2 == 0
    world = World(place, asked, dice.choice((1, 5)), dice)
    done: Counter[str] = Counter()
    models = [world.model()]
    world.push(models[0])
    for name in ("a", "b")[: dice.choice((1, 1, 2))]:
        world.add_server(name, dice.choice((0.0, 2.0, 25.0, 45.0)), dice.choice((1.0, 5.0, 5.0, 30.0, 60.0)))
    world.pass_time(dice.choice((100.0, 300.0)))
    for _ in range(_STEPS):
        done[_step(world, models, dice)] += 1
        world.pass_time(dice.choice((0.0, 1.0, 8.0, 20.0, 60.0, 700.0)))
    world.pass_time(_QUIET_SECONDS)
    if not world.push(world.model()):
        world.findings.append(f"a sound model was refused in the end: {world.refusals[-1]}")
    world.pass_time(_QUIET_SECONDS)
    world.check_served()
    for server in world.servers:
        if asked and server.deleted:
            world.findings.append(f"{server.url} was told to load {server.deleted}, which were deleted")
        if server.longest_gap > _LONGEST_GAP:
            world.findings.append(f"{server.url} did not answer a label for {server.longest_gap:.1f} s")
    remove(world)
    gap = max(server.longest_gap for server in world.servers)
    return Outcome(asked, done, len(world.refusals), world.findings, gap, world.monotonic())


def _step(world: World, models: list[Path], dice: random.Random) -> str:
    """Makes one change, perhaps with something else in the middle of it. Returns its name."""
    kind = dice.choice(_KINDS)
    if dice.random() < 0.3:
        world.later(dice.uniform(0.0, 60.0), lambda: _meddle(world, dice))
    server = dice.choice(world.servers)
    target: Literal["stable", "canary"] = "canary" if dice.random() < 0.5 else "stable"

    def change() -> object:
        if kind in ("push", "canary", "broken"):
            models.append(world.model(dice.choice((server.name, "ab")) if kind == "broken" else ""))
            return world.push(models[-1], "canary" if kind == "canary" else target if kind == "broken" else "stable")
        if kind == "again":
            return world.push(dice.choice(models[-4:]), target)
        if kind == "promote":
            return world.promote()
        if kind.startswith("rollback"):
            return world.rollback(dice.choice(world.versions()) if kind == "rollback to" else None)
        _disturb(world, kind, dice)
        return None

    if dice.random() < 0.15:
        world.killed(change, world.monotonic() + dice.choice((0.0, 3.0, 30.0, 200.0)))
        return f"{kind}, killed"
    change()
    return kind


def _meddle(world: World, dice: random.Random) -> None:
    """Does what may come in the middle of another change. A push may not: another one waits for it to end."""
    kind = dice.choice(("promote", "rollback", "freeze", "restart"))
    if kind == "promote":
        world.promote()
    elif kind == "rollback":
        world.rollback()
    else:
        _disturb(world, kind, dice)


def _disturb(world: World, kind: str, dice: random.Random) -> None:
    server = dice.choice(world.servers)
    if kind == "freeze":
        server.freeze(world.monotonic(), dice.choice((5.0, 30.0, 90.0, 600.0)))
    elif world.asked or not server.breaks(_labelled(world)):
        server.restart(world.monotonic())


def _labelled(world: World) -> set[int]:
    served = read_models_config(world.base)
    return set(served.labels.values()) if served else set()


def main() -> int:
    """Runs the sequences and prints what came out. Returns 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=10_000, metavar="N", help="how many (default: 10000)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first (default: 0)")
    args = parser.parse_args()
    outcomes = run_sequences(args.first, args.sequences)
    for line in report(outcomes):
        say(line)
    return 1 if any(outcome.findings for _, outcome in outcomes) else 0


def run_sequences(first: int, count: int) -> list[tuple[int, Outcome]]:
    """Returns the outcomes of sequences, each with its number."""
    with tempfile.TemporaryDirectory() as place, without_tensorflow():
        return [(number, run_sequence(number, Path(place, str(number)))) for number in range(first, first + count)]


def report(outcomes: list[tuple[int, Outcome]]) -> list[str]:
    """Returns the lines that say what came out."""
    done: Counter[str] = Counter()
    for _, outcome in outcomes:
        done += outcome.done
    days = sum(outcome.seconds for _, outcome in outcomes) / 86_400
    lines = [
        f"{len(outcomes):,} sequences, {done.total():,} changes, {days:,.0f} days of virtual time",
        "changes: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(done.items())),
        f"refused: {sum(outcome.refused for _, outcome in outcomes):,}",
    ]
    for asked, whom in ((True, "asked"), (False, "not asked")):
        gaps = [outcome.longest_gap for _, outcome in outcomes if outcome.asked == asked]
        stopped = sum(gap > _LONGEST_GAP for gap in gaps)
        lines.append(f"servers that are {whom}: {len(gaps):,} sequences; a label stopped answering in {stopped:,}")
    findings = [f"sequence {number}: {finding}" for number, outcome in outcomes for finding in outcome.findings]
    return [*lines, f"findings: {len(findings):,}", *findings[:20]]


if __name__ == "__main__":
    sys.exit(main())
