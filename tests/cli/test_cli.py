"""The program as people and scripts run it: exit codes, messages, JSON."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from geldspur.cli.app import app

GELDSPUR = Path(sys.executable).parent / "geldspur"


def run(*arguments, code=0, env=None):
    program = [GELDSPUR, *map(str, arguments)]
    done = subprocess.run(program, check=False, capture_output=True, text=True, timeout=240, env=env)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def commands(group, path=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.fixture(scope="module")
def ledger(embedded):
    return embedded.ledger.folder


def test_the_main_job_from_the_shell(embedded, tmp_path):
    ledger, leads, packages = tmp_path / "ledger", tmp_path / "leads", tmp_path / "packages"
    run("index", embedded.case.blocks, "--ledger", ledger)
    run("tags", "add", "--ledger", ledger, embedded.inputs.tagpack, embedded.inputs.actorpack)
    run("wallets", "build", "--ledger", ledger)
    run("leads", "--ledger", ledger, "--site", embedded.inputs.site, "--out", leads)
    made = json.loads(run("package", "--ledger", ledger, "--leads", leads, "--out", packages, "--json").stdout)
    assert len(made["packages"]) >= 5
    run("export", tmp_path / "headers.bin", "--headers", "--ledger", ledger)
    for info in made["packages"]:
        text = run("verify", info["path"], "--headers", tmp_path / "headers.bin").stdout
        assert "verified" in text.lower()
    scored = json.loads(run("accuracy", embedded.case.root, "--leads", leads, "--json").stdout)
    assert scored["figures"]["payments_found"] == 63


def test_look_ups_print_json(embedded, ledger):
    lead = embedded.leads.leads[0]
    view = json.loads(run("tx", lead.payment.txid, "--ledger", ledger, "--json").stdout)
    assert view["vout"][lead.payment.vout]["value_sat"] == lead.payment.value_sat
    block = json.loads(run("block", lead.payment.height, "--ledger", ledger, "--json").stdout)
    assert lead.payment.txid in [t["txid"] for t in block["tx"]]
    address = json.loads(run("address", lead.payment.address, "--ledger", ledger, "--json").stdout)
    assert address["outputs_total"] >= 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["block", "999999999", "--ledger", "LEDGER"], 2, "ends at height"),
        (["block", "nonsense", "--ledger", "LEDGER"], 2, "64 hex digits"),
        (["tx", "00" * 32, "--ledger", "LEDGER"], 2, "not in this ledger"),
        (["address", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "--ledger", "LEDGER"], 1, "mainnet"),
        (["address", "nonsense", "--ledger", "LEDGER"], 1, "nonsense"),
        (["tx", "00" * 32, "--ledger", "/nowhere"], 1, "no finished ledger"),
        (["index", "/nowhere", "--ledger", "/tmp/never"], 1, "does not exist"),
        (["tags", "add", "--ledger", "LEDGER", "/nowhere.yaml"], 1, "nowhere.yaml"),
        (["leads", "--ledger", "LEDGER", "--site", "/nowhere.csv", "--out", "/tmp/never"], 2, "nowhere.csv"),
        (["verify", "/nowhere.zip"], 2, "nowhere.zip"),
        (["leads", "--ledger", "LEDGER"], 2, "--site"),
        (["nothing"], 2, "nothing"),
    ],
)
def test_wrong_use_ends_in_a_clear_message(ledger, arguments, code, told):
    done = run(*(str(ledger) if a == "LEDGER" else a for a in arguments), code=code)
    assert told in done.stderr + done.stdout


def test_errors_are_json_for_programs(ledger):
    error = json.loads(run("tx", "00" * 32, "--ledger", ledger, "--json", code=2).stdout)
    assert set(error) == {"error", "where", "todo"}
    assert error["todo"]
    assert "nowhere.zip" in json.loads(run("verify", "/nowhere.zip", "--json", code=2).stdout)["error"]


def test_every_command_speaks_json_and_paths_that_are_no_text_do_not_break_it(embedded, ledger, tmp_path):
    for name, command in commands(typer.main.get_command(app)):
        assert "--json" in [option for parameter in command.params for option in parameter.opts], name
    file = tmp_path / os.fsdecode(b"[red]\xff.csv")
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    told = json.loads(run("wallets", "export", "--ledger", ledger, file, "--json", env=strict).stdout)
    assert told == {"file": str(file), "addresses": len(file.read_text().splitlines()) - 1}
    assert "[red]\\udcff.csv" in run("wallets", "export", "--ledger", ledger, file, env=strict).stdout


def test_ids_stay_whole_where_output_is_no_terminal(embedded, ledger):
    with (embedded.folder / "leads" / "wallets.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = rows[0]
    second = next(row for row in rows[1:] if row["wallet"] == first["wallet"])
    text = run("wallets", "why", first["address"], second["address"], "--ledger", ledger).stdout
    assert re.search(rf"^  {first['address']}  and  \S+$", text, re.MULTILINE)
    assert "rule co-spend: " in text and "measured" in text


def test_leads_without_tags_or_wallets_say_what_to_run(embedded, tmp_path):
    ledger = tmp_path / "ledger"
    run("index", embedded.case.blocks, "--ledger", ledger)
    site = ["--site", embedded.inputs.site, "--out", tmp_path / "leads"]
    assert "geldspur tags add" in run("leads", "--ledger", ledger, *site, code=1).stderr
    run("tags", "add", "--ledger", ledger, embedded.inputs.tagpack)
    assert "geldspur wallets build" in run("leads", "--ledger", ledger, *site, code=1).stderr
    run("wallets", "build", "--ledger", ledger)
    run("tags", "add", "--ledger", ledger, embedded.inputs.actorpack)
    assert "geldspur wallets build" in run("leads", "--ledger", ledger, *site, code=1).stderr


def test_every_command_explains_itself_with_an_example():
    top = run("--help").stdout
    names = re.findall(r"^  ([a-z]+) ", top[top.index("Commands:") :], re.MULTILINE)
    assert {"index", "leads", "package", "verify", "demo"} <= set(names)
    for name in names:
        text = run(name, "--help").stdout
        if "Commands:" in text:
            for inner in re.findall(r"^  ([a-z]+) ", text[text.index("Commands:") :], re.MULTILINE):
                told = run(name, inner, "--help").stdout
                assert "Example:" in told or "Commands:" in told, (name, inner)
        else:
            assert "Example:" in text, name


def groups(group, path=""):
    yield path, group
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from groups(command, f"{path} {name}")


def test_every_argument_and_option_is_explained_and_every_group_has_an_example():
    root = typer.main.get_command(app)
    for path, command in commands(root):
        for parameter in command.params:
            assert getattr(parameter, "help", None), (path, parameter.name)
            shown = parameter.make_metavar(typer.Context(command))
            assert "range" not in shown, (path, parameter.name, shown)
            if parameter.param_type_name == "argument":
                assert "".join(c for c in shown if c.isalpha()).lower() != shown, (path, parameter.name, shown)
    for path, group in groups(root):
        assert group.epilog, path


def test_look_ups_do_not_load_the_compiler(ledger):
    code = (
        "import sys; from geldspur.ledger import Ledger; from geldspur.ledger.views import block_view; "
        f"block_view(Ledger(__import__('pathlib').Path({str(ledger)!r})), '1'); "
        "assert 'numba' not in sys.modules; import geldspur.cli; assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--help"], {"rich", "numpy", "pydantic", "numba"}),
        (["address", "bcrt1qepr9wm26mult9wrwvx4699p00965az20x36fc4090w6lv8sl8ygs65l8dd"], {"rich", "numba", "duckdb"}),
        (["block", "1"], {"rich", "numba", "pyarrow"}),
    ],
)
def test_quick_commands_import_only_what_they_use(ledger, arguments, unused):
    place = [] if arguments == ["--help"] else ["--ledger", str(ledger)]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", GELDSPUR, *arguments, *place], check=True, capture_output=True, text=True
    )
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & unused
