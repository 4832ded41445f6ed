"""The `din` command: it calls the command that the user names, and turns exceptions into sentences and exit statuses.

Each file beside this one adds a group of commands. Another package can add commands by an entry point of the group `din.commands`, which
names a function like `add_commands` here: this is how `din bench` is found, although this package imports no benchmark. Heavy imports are
inside the functions that need them, so that `din --help` is quick.
"""

import argparse
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import entry_points

from components.base.errors import InputError, explain_place
from din_trainer.training.card_settings import share_cards
from pipeline.cli import (
    compile_command,
    data_commands,
    plan_command,
    predict_command,
    report_commands,
    run_command,
    serving_commands,
    workspace_commands,
)
from pipeline.cli.arguments import Parser
from pipeline.terminal import complain, say

EXIT_STATUS = """exit status:
  0  done (run: pushed, or these very weights are already served)
  1  anything else
  2  bad configuration or data
  3  refused by a gate after training
"""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands. Parsed arguments have a function `call` that runs the command and returns the exit status."""
    parser = Parser(
        prog="din",
        description="Trains a Deep Interest Network with TFX and ships it to TF Serving.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (
        run_command,
        plan_command,
        compile_command,
        data_commands,
        predict_command,
        serving_commands,
        report_commands,
        workspace_commands,
    ):
        group.add_commands(commands)
    for further in entry_points(group="din.commands"):
        further.load()(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `din` and returns its exit status. Other users cannot read what it writes; the group can if the umask allows it.

    Args:
        argv: The arguments. None takes those of the process, and ends it: after a checkpoint that found no room on the disk, HDF5
            crashes in the normal end of a process, and the exit status would be that of the crash.
    """
    if argv is not None:
        return _run(argv)
    status = _run(sys.argv[1:])
    logging.shutdown()
    sys.stderr.flush()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(status)


def _run(argv: Sequence[str]) -> int:
    os.umask(os.umask(0o077) | 0o007)
    share_cards()
    args = make_parser().parse_args(argv)
    try:
        return args.call(args)
    except InputError as error:
        complain(str(error))
        return 2
    except BrokenPipeError:  # the reader of our output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        complain("interrupted.")
        return 1
    except Exception as error:
        sentence = explain_place(error)
        if sentence is None:
            return _show_bug()
        complain(sentence)
        return 2


def _show_bug() -> int:
    """Prints the traceback of the exception that is being handled. Python's own print would not escape text from data."""
    for line in traceback.format_exc().splitlines():
        say(line, sys.stderr)
    return 1
