"""`viva ask`: one answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click

from bot.cli.remote import find_remote
from bot.cli.rendering import AnswerPrinter, status
from bot.services.limits import checked_question
from bot.settings import Settings, load_settings

LOADING = (
    "No server is running: loading the encoder, which takes some seconds. "
    "(With `viva serve` in another terminal, answers come at once.)"
)


@click.command(short_help="Answer a question from the notes.")
@click.argument("question", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
@click.option("--model", default=None, help="Language model; `none` quotes the notes.")
@click.option("--conversation", metavar="ID", help="Name the conversation, as the answer will.")
def ask(
    question: tuple[str, ...], as_json: bool, model: str | None, conversation: str | None
) -> None:
    """Answer QUESTION from the notes, each sentence a verbatim quote with its citation."""
    asked = checked_question(" ".join(question))
    settings = load_settings(model=model)
    printer = None if as_json else AnswerPrinter()
    body = {"question": asked, "conversation": conversation, "model": settings.model}
    if remote := find_remote(settings.data_dir):
        for name, data in remote.ask(body):
            _show(name, data, printer)
    else:
        status(LOADING)
        asyncio.run(_locally(settings, asked, conversation, printer))


def _show(name: str, data: dict[str, Any], printer: AnswerPrinter | None) -> None:
    if printer and name == "sentence":
        printer.sentence(data)
    elif printer and name == "done":
        printer.done(data)
    elif name == "done":
        click.echo(json.dumps(data, indent=1))


async def _locally(
    settings: Settings, question: str, conversation: str | None, printer: AnswerPrinter | None
) -> None:
    from bot.domain.answers import Answer, CitedSentence
    from bot.wiring import open_services

    async with open_services(settings, watch=False) as services:
        events = services.answers.stream(question, conversation=conversation, model=settings.model)
        async for event in events:
            if isinstance(event, CitedSentence):
                _show("sentence", event.to_dict(), printer)
            elif isinstance(event, Answer):
                _show("done", event.to_dict(), printer)
