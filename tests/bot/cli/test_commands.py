"""Exit status, what is printed where, and what never is."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from bot import __version__
from bot.cli.main import viva as group
from bot.running import announce
from ingest.weights import WEIGHTS, Weights
from tests.bot.cli.conftest import Viva
from tests.conftest import CorpusFactory

SECRET = "swordfish-token"


def commands() -> list[list[str]]:
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        found.append([name])
        if isinstance(command, click.Group):
            found += [[name, sub] for sub in command.commands]
    return found


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *[[*c, "-h"] for c in commands()]])
def test_help_is_given_and_is_done(viva: Viva, arguments: list[str]) -> None:
    result = viva(*arguments)

    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("Usage: viva")


def test_the_version_is_given(viva: Viva) -> None:
    assert viva("--version").out == f"viva, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["--dance"],
        ["ask"],
        ["ask", "What is drift?", "--dance"],
        ["search"],
        ["search", "drift", "-k", "0"],
        ["search", "drift", "-k", "51"],
        ["search", "drift", "-k", "many"],
        ["search", "drift", "--kind", "poem"],
        ["search", "drift", "--level", "L9"],
        ["serve", "--port", "65536"],
        ["serve", "now"],
        ["ingest", "--check", "--rollback"],
        ["ingest", "--check", "--rebuild"],
        ["ingest", "--rebuild", "--rollback"],
        ["ingest", "--corpus", "nowhere"],
        ["ingest", "--corpus", "=nowhere"],
        ["ingest", "--corpus", "group="],
        ["models", "dance"],
    ],
)
def test_wrong_usage_is_2_with_the_reason_on_stderr(viva: Viva, arguments: list[str]) -> None:
    result = viva(*arguments)

    assert (result.status, result.out) == (2, "")
    assert "Error: " in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("typed", "meant"), [("aks", "ask"), ("serach", "search"), ("docter", "doctor")]
)
def test_a_command_that_is_misspelt_gets_a_hint(viva: Viva, typed: str, meant: str) -> None:
    result = viva(typed, "What is drift?")

    assert (result.status, result.out) == (2, "")
    assert f"No such command '{typed}'. Did you mean {meant}?" in result.err


def test_a_command_like_no_other_gets_no_hint(viva: Viva) -> None:
    assert "Did you mean" not in viva("zzzzz").err


@pytest.mark.parametrize("command", [["ingest"], ["ingest", "--rollback"]])
def test_a_data_folder_that_is_a_file_is_one_line(
    viva: Viva, data_dir: Path, installed_encoder: Weights, command: list[str]
) -> None:
    data_dir.write_text("")

    result = viva(*command)

    assert result.status == 1
    said = [line for line in result.err.splitlines() if not line.endswith("…")]
    assert len(said) == 1, result.err
    assert said[0].startswith(str(data_dir))


def test_an_option_without_effect_is_taken_and_not_shown(viva: Viva) -> None:
    assert "discord" not in viva("serve", "-h").out.lower()
    assert "No such option" not in viva("serve", "--no-discord", "--port", "65536").err


@pytest.mark.parametrize(
    "arguments",
    [["ask", "What is drift?"], ["search", "drift"], ["serve"], ["ingest"], ["models", "list"]],
)
def test_an_unknown_setting_is_refused_in_one_line_with_a_hint(
    viva: Viva, arguments: list[str]
) -> None:
    result = viva(*arguments, VIVA_PROT=SECRET)

    assert (result.status, result.out) == (1, "")
    assert result.err == "VIVA_PROT is not a setting. Did you mean VIVA_PORT?\n"


def test_a_bad_value_is_refused_without_being_shown(viva: Viva) -> None:
    result = viva("ask", "What is drift?", VIVA_CHROMA_URL=SECRET)

    assert result.status == 1
    assert result.err.startswith("VIVA_CHROMA_URL: must read http://host:port")
    assert SECRET not in result.err


@pytest.mark.parametrize("command", [["ask", "What is drift?"], ["search", "drift"]])
def test_without_an_encoder_a_question_is_met_with_what_to_do(
    viva: Viva, command: list[str]
) -> None:
    result = viva(*command, VIVA_EMBEDDING_MODEL="/nowhere")

    assert (result.status, result.out) == (1, "")
    assert result.err.splitlines()[-1].startswith("VIVA_EMBEDDING_MODEL is '/nowhere'")


# models


def test_models_are_listed_with_the_command_that_fetches_them(viva: Viva) -> None:
    result = viva("models", "list")

    assert result.status == 0
    for spec in WEIGHTS.values():
        assert spec.name in result.out
    assert "viva models fetch all-mpnet-base-v2" in result.out


def test_models_are_listed_as_json(viva: Viva) -> None:
    rows = viva("models", "list", "--json").json

    assert [row["name"] for row in rows] == list(WEIGHTS)
    assert all(set(row) == {"name", "megabytes", "used_for", "path"} for row in rows)


def test_a_model_that_nobody_knows_cannot_be_fetched(viva: Viva) -> None:
    result = viva("models", "fetch", "gpt-9")

    assert (result.status, result.out) == (1, "")
    assert "No weights are called 'gpt-9'. Known names: all-MiniLM-L6-v2" in result.err


# doctor


def rows(printed: str) -> dict[str, dict[str, object]]:
    return {row["part"]: row for row in json.loads(printed)}


def test_the_doctor_of_an_empty_installation_names_what_mends_it(viva: Viva) -> None:
    result = viva("doctor", "--json")
    found = rows(result.out)

    assert result.status == 1
    assert all(set(row) == {"part", "ok", "found", "repair", "needed"} for row in found.values())
    assert found["index"]["ok"] is False
    assert found["server"] == {
        "part": "server",
        "ok": False,
        "found": "not running",
        "repair": "Start it: viva serve",
        "needed": False,
    }
    broken = [row for row in found.values() if not row["ok"]]
    assert all(row["repair"] for row in broken)


def test_the_doctor_names_a_bad_setting_and_goes_no_further(viva: Viva) -> None:
    result = viva("doctor", VIVA_PROT="1")

    assert result.status == 1
    assert "VIVA_PROT is not a setting." in result.out
    assert "Did you mean VIVA_PORT?" in result.out
    assert result.err == ""


def test_the_doctor_says_what_to_do_about_an_encoder_that_is_not_there(viva: Viva) -> None:
    result = viva("doctor", "--json", VIVA_EMBEDDING_MODEL="/nowhere")
    encoder = rows(result.out)["encoder"]

    assert (result.status, encoder["ok"]) == (1, False)
    assert "all-MiniLM-L6-v2" in str(encoder["repair"])


def test_the_doctor_names_a_folder_of_notes_that_is_not_there(viva: Viva) -> None:
    result = viva("doctor", "--json", VIVA_CORPUS_DIRS="group=nowhere")
    notes = rows(result.out)["notes"]

    assert (result.status, notes["ok"]) == (1, False)
    assert "group=nowhere" in str(notes["found"])


def test_the_doctor_names_a_chroma_server_that_does_not_answer(viva: Viva) -> None:
    result = viva("doctor", "--json", VIVA_CHROMA_URL="http://127.0.0.1:9")
    store = rows(result.out)["vector store"]

    assert (result.status, store["ok"]) == (1, False)
    assert "VIVA_CHROMA_URL" in str(store["repair"])


def test_the_doctor_names_a_damaged_pointer(viva: Viva, data_dir: Path) -> None:
    (data_dir / "index").mkdir(parents=True)
    (data_dir / "index" / "pointer.json").write_text("{")
    result = viva("doctor", "--json")

    assert result.status == 1
    assert "pointer.json cannot be read" in str(rows(result.out)["index"]["found"])


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_the_doctor_never_shows_a_secret(viva: Viva, data_dir: Path, arguments: list[str]) -> None:
    token = announce(data_dir, "http://127.0.0.1:9").token
    url = f"http://viva:{SECRET}@127.0.0.1:9"
    result = viva(*arguments, VIVA_DISCORD_TOKEN=SECRET, VIVA_CHROMA_URL=url)

    assert "discord_token" in result.out
    for secret in (SECRET, token):
        assert secret not in result.out
        assert secret not in result.err


def test_the_doctor_shows_a_line_a_part_to_people(viva: Viva) -> None:
    lines = viva("doctor").out.splitlines()

    assert lines[0].startswith("ok  python")
    assert any(line.startswith("NO  index") for line in lines)
    assert any(line.startswith("--  server") for line in lines)


# ingest --check


def test_checking_notes_lists_each_fault_with_its_place(
    viva: Viva, corpus_folder: CorpusFactory, installed_encoder: Weights
) -> None:
    folder = corpus_folder("group")
    folder.write("topics/bad.md", "---\nid: topics/bad\ntitle: Bad\n---\n\n## Heading\n\nText.\n")
    folder.write("topics/none.md", "No head.\n")

    result = viva("ingest", "--check", "--corpus", f"group={folder.root}")

    assert result.status == 1
    places = [line for line in result.out.splitlines() if line.startswith("group/")]
    assert any(line.startswith("group/topics/bad.md:") for line in places)
    assert "group/topics/none.md:1: has no front matter: the first line must be ---" in places
    assert result.out.splitlines()[-1].endswith(f"{len(places)} problems")


def test_checking_notes_as_json_prints_one_document(
    viva: Viva, corpus_folder: CorpusFactory, installed_encoder: Weights
) -> None:
    folder = corpus_folder("group")
    folder.write("topics/none.md", "No head.\n")

    result = viva("ingest", "--check", "--json", "--corpus", f"group={folder.root}")

    assert result.status == 1
    (problem,) = result.json["problems"]
    assert (problem["path"], problem["line"]) == ("group/topics/none.md", 1)


def test_building_from_faulty_notes_writes_nothing_and_names_them_on_stderr(
    viva: Viva, corpus_folder: CorpusFactory, data_dir: Path, installed_encoder: Weights
) -> None:
    folder = corpus_folder("group")
    folder.write("topics/none.md", "No head.\n")

    result = viva("ingest", "--json", "--corpus", f"group={folder.root}")

    assert (result.status, result.out) == (1, "")
    assert "group/topics/none.md:1: has no front matter" in result.err
    assert "nothing was written" in result.err
    assert not (data_dir / "index" / "pointer.json").exists()


def test_a_folder_of_notes_that_is_not_there_is_named(
    viva: Viva, installed_encoder: Weights
) -> None:
    result = viva("ingest", "--corpus", "group=nowhere")

    assert (result.status, result.out) == (1, "")
    assert "group=nowhere:1: is not a folder" in result.err


def test_without_a_generation_before_there_is_nothing_to_roll_back_to(viva: Viva) -> None:
    result = viva("ingest", "--rollback")

    assert (result.status, result.out) == (1, "")
    assert "There is no index" in result.err


def test_without_weights_ingest_says_how_to_fetch_them(viva: Viva, tmp_path: Path) -> None:
    result = viva("ingest", VIVA_EMBEDDING_MODEL=str(tmp_path / "nowhere"))

    assert (result.status, result.out) == (1, "")
    assert "VIVA_EMBEDDING_MODEL" in result.err
