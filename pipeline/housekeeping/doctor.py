"""`din doctor`: looks at the machine, the workspace, its metadata, its servers and the engine of a run, and changes nothing."""

from pathlib import Path

from components.base.errors import InputError
from pipeline.configuration.beam_config import BeamConfig
from pipeline.housekeeping.check_machine import check_machine, machine_facts
from pipeline.housekeeping.check_servers import check_servers, known_servers
from pipeline.housekeeping.check_workspace_state import check_workspace_state, workspace_facts
from pipeline.housekeeping.findings import Diagnosis, Finding, command


def diagnose(workspace: Path, configured: dict[str, list[str]] | None = None, beam: BeamConfig | None = None) -> Diagnosis:
    """Finds what is wrong.

    Args:
        workspace: The workspace, which need not exist.
        configured: The servers by the name of the model, from a configuration; None takes those of the last runs and pushes.
        beam: The engine to look at; None looks at none.
    """
    from pipeline.runners.check_engine import engine_problems

    findings = [*check_machine(workspace), *check_workspace_state(workspace)]
    try:
        servers = known_servers(workspace) if configured is None else configured
    except InputError as error:
        servers = {}
        findings.append(Finding("servers", str(error), command("din", "doctor", "--workspace", workspace)))
    findings += check_servers(workspace, servers)
    findings += [Finding("engine", f"{problem.what}.", problem.command) for problem in (engine_problems(beam) if beam else ())]
    engine = {"engine": beam.engine} if beam else {}
    return Diagnosis({**machine_facts(workspace), **workspace_facts(workspace), **engine}, findings)
