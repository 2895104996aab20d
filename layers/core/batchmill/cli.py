"""The command line: assembles the commands, and turns errors into one clear line and an exit status.

0    done; for a batch: completed
1    the batch failed, expired or was cancelled
2    a mistake in what was asked
3    trouble that is not the caller's: a service, an engine, the stack
130  after Ctrl-C
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from batchmill import __version__
from batchmill.domain.errors import BatchmillError, UserError

MISTAKE, TROUBLE, INTERRUPTED = 2, 3, 130

_COMMANDS = {
    "run": ("run", "run"),
    "up": ("up", "up"),
    "check": ("check", "check"),
    "submit": ("submit", "submit"),
    "status": ("status", "status"),
    "watch": ("watch", "watch"),
    "list": ("listing", "listing"),
    "pause": ("pausing", "pause"),
    "resume": ("pausing", "resume"),
    "cancel": ("cancel", "cancel"),
    "results": ("results", "results"),
    "engine": ("engine", "engine"),
    "profile": ("profile", "profile"),
}
"""From a command's name to its module and function: imported when asked for, so that `--version` is quick."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's own signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"batchmill.commands.{module}"), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="batchmill")
def batchmill() -> None:
    """Batch inference for language models: files in, Parquet out, one outcome for each row."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `batchmill`: runs, and exits with one of the statuses above."""
    sys.exit(status(arguments))


def status(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (the process's own if None); returns its exit status, errors written to standard error."""
    try:
        code = batchmill.main(None if arguments is None else list(arguments), standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE
    except BatchmillError as error:
        click.echo(f"batchmill: {error}", err=True)
        return MISTAKE if isinstance(error, UserError) else TROUBLE
    return code if isinstance(code, int) else 0
