"""The command `viva`. Each command's module is imported when it is called, so that none is slow."""

from __future__ import annotations

import difflib
import importlib
import io
import logging
import sys
from typing import Any

import click

from bot import __version__

_COMMANDS = {
    "ask": ("bot.cli.ask:ask", "Answer a question from the notes."),
    "search": ("bot.cli.search:search", "Search the notes for sections."),
    "serve": ("bot.cli.serve:serve", "Serve Viva over HTTP."),
    "ingest": ("bot.cli.ingest:ingest", "Check the notes and build the index."),
    "models": ("bot.cli.models:models", "List and fetch the embedded models."),
    "doctor": ("bot.cli.doctor:doctor", "Say what is there, what is not, and what mends it."),
}


class _Commands(click.Group):
    """A group that knows its commands by name and imports them when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            close = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"No such command {cmd_name!r}.{hint}")
        module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="viva")
def viva() -> None:
    """Practise machine-learning system design interviews, with answers that cite their notes."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 the request could not be met, 2 wrong usage."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    from bot.errors import VivaError
    from ingest.errors import CorpusError, IngestError

    # A command says what went wrong once; only `serve` keeps a log.
    logging.getLogger().addHandler(logging.NullHandler())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a Windows pipe has no room for every letter
    try:
        # `Command.main` would answer a closed pipe with status 1 before anybody could see it.
        with viva.make_context("viva", sys.argv[1:] if arguments is None else arguments) as context:
            result: Any = viva.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 1
    except CorpusError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        click.echo(str(error), err=True)
        return 1
    except (VivaError, IngestError) as error:
        click.echo(str(error), err=True)
        return 1
    except (FileNotFoundError, NotADirectoryError, FileExistsError, PermissionError) as error:
        click.echo(f"{error.filename}: {error.strerror}. See: viva doctor", err=True)
        return 1
    except BrokenPipeError:  # the reader, `head` for one, has seen enough
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0
