"""`din doctor`: looks at the machine, the workspace, its metadata and its servers, and changes nothing."""

from pathlib import Path

from components.base.errors import InputError
from pipeline.housekeeping.check_machine import check_machine, machine_facts
from pipeline.housekeeping.check_servers import check_servers, known_servers
from pipeline.housekeeping.check_workspace_state import check_workspace_state, workspace_facts
from pipeline.housekeeping.findings import Diagnosis, Finding, command


def diagnose(workspace: Path, configured: dict[str, list[str]] | None = None) -> Diagnosis:
    """Finds what is wrong.

    Args:
        workspace: The workspace, which need not exist.
        configured: The servers by the name of the model, from a configuration; None takes those of the last runs and pushes.
    """
    findings = [*check_machine(workspace), *check_workspace_state(workspace)]
    try:
        servers = known_servers(workspace) if configured is None else configured
    except InputError as error:
        servers = {}
        findings.append(Finding("servers", str(error), command("din", "doctor", "--workspace", workspace)))
    findings += check_servers(workspace, servers)
    return Diagnosis({**machine_facts(workspace), **workspace_facts(workspace)}, findings)
