"""Tells somebody how a run ended, by a command of the user."""

import json
import os
import signal
import subprocess

from components.base.secrets import hide_secrets
from pipeline.configuration.pipeline_config import NotifyConfig
from pipeline.records.summary import Summary


def notify(config: NotifyConfig, summary: Summary) -> str | None:
    """Calls `notify.command` if the run ended in one of the ways of `notify.when`. What the command prints goes to the log.

    The command gets the summary as JSON on its stdin, and DIN_RUN, DIN_NAME and DIN_STATUS in its environment. It is not called through a
    shell, so text from data cannot become a command.

    Returns:
        One sentence if the command failed. The run ends as it would without it.
    """
    if not config.command or summary.status not in config.when:
        return None
    known = {"DIN_RUN": summary.run_id, "DIN_NAME": summary.name, "DIN_STATUS": summary.status}
    content = hide_secrets(json.dumps(summary.as_json())).encode()
    try:
        status = _call(config, {**os.environ, **known}, content)
    except (OSError, ValueError) as error:
        return f"notify.command {config.command[0]!r} cannot be started ({getattr(error, 'strerror', None) or error}): nobody was told."
    except KeyboardInterrupt:
        return f"notify.command {config.command[0]!r} was interrupted: maybe nobody was told."
    except subprocess.TimeoutExpired:
        return f"notify.command {config.command[0]!r} was ended after {config.seconds:g} seconds (notify.seconds): maybe nobody was told."
    if status:
        return f"notify.command {config.command[0]!r} ended with exit status {status}: the log has its output."
    return None


def _call(config: NotifyConfig, environment: dict[str, str], content: bytes) -> int:
    """Calls the command and returns its exit status. If it does not end, it is killed with all processes that it has started."""
    with subprocess.Popen(config.command, stdin=subprocess.PIPE, env=environment, start_new_session=True) as process:
        try:
            process.communicate(content, timeout=config.seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return process.returncode
