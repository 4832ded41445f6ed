"""What `din doctor` finds: a sentence for each thing that is wrong, with the command that corrects it."""

import shlex
from pathlib import Path
from typing import Any, Literal, NamedTuple

Where = Literal["environment", "workspace", "metadata", "servers", "engine"]


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        where: Where it is wrong.
        what: One sentence.
        command: The command that corrects it, to be typed as it is.
    """

    where: Where
    what: str
    command: str


class Diagnosis(NamedTuple):
    """All that `din doctor` says.

    Attributes:
        facts: What is there, by name: versions, memory, disk, runs.
        findings: What is wrong with it.
    """

    facts: dict[str, str]
    findings: list[Finding]

    def as_json(self) -> dict[str, Any]:
        return {"ok": not self.findings, "facts": self.facts, "findings": [finding._asdict() for finding in self.findings]}

    def lines(self) -> list[str]:
        """Returns what people read."""
        lines = [f"{name:<12} {fact}" for name, fact in self.facts.items()]
        for finding in self.findings:
            lines += [f"{finding.where}: {finding.what}", f"    {finding.command}"]
        return [*lines, f"Findings: {len(self.findings)}." if self.findings else "Nothing is wrong."]


def command(*words: str | Path) -> str:
    """Returns a command line that a shell reads as these words."""
    return shlex.join(map(str, words))
