"""export and sql as people and scripts run them."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GELDSPUR = Path(sys.executable).parent / "geldspur"
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


def run(*arguments, code=0):
    done = subprocess.run([GELDSPUR, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def ledger(embedded):
    return embedded.ledger.folder


def test_one_question_in_three_forms(ledger, embedded):
    question = "SELECT height, hash, time FROM blocks ORDER BY height"
    table = run("sql", question, "--ledger", ledger)
    assert table.stdout.splitlines()[0].split() == ["height", "hash", "time"]
    assert len(table.stdout.splitlines()) == 101
    assert "only the first 100 rows" in table.stderr
    answer = json.loads(run("sql", question, "--ledger", ledger, "--json").stdout)
    assert (len(answer["rows"]), answer["more"]) == (embedded.ledger.tip_height + 1, False)
    assert answer["rows"][5][:2] == [5, embedded.ledger.block_id(5)]
    assert answer["rows"][5][2].endswith("Z")
    rows = list(csv.reader(io.StringIO(run("sql", question, "--ledger", ledger, "--csv", "--limit", 3).stdout)))
    assert rows[0] == ["height", "hash", "time"]
    assert rows[1:] == [[str(v) for v in row] for row in answer["rows"][:3]]


def test_odd_values_are_shown_and_control_characters_are_not(ledger):
    question = "SELECT chr(27) || '[31mred' AS a, [1, 2] AS b, '\\xAB'::BLOB AS c, NULL AS d, 1.50::DECIMAL(9,2) AS e"
    text = run("sql", question, "--ledger", ledger).stdout
    assert "\x1b" not in text
    assert text.splitlines()[1].split() == ["\N{REPLACEMENT CHARACTER}[31mred", "[1,", "2]", "ab", "1.50"]
    row = json.loads(run("sql", question, "--ledger", ledger, "--json").stdout)["rows"][0]
    assert row[1:] == [[1, 2], "ab", None, "1.50"]


def test_tables_are_listed_without_a_ledger(ledger):
    text = run("sql", "--tables").stdout
    assert "value_sat" in text
    listed = json.loads(run("sql", "--tables", "--json").stdout)
    assert set(listed) == {"blocks", "transactions", "inputs", "outputs", "scripts", "edge_outputs"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sql"], "needs a SELECT and --ledger"),
        (["sql", "SELECT 1", "--ledger", "LEDGER", "--csv", "--json"], "exclude each other"),
        (["sql", "DROP VIEW blocks", "--ledger", "LEDGER"], "only a single SELECT"),
        (["sql", "SELECT nope FROM blocks", "--ledger", "LEDGER"], "nope"),
        (["export", "/tmp/never", "--ledger", "LEDGER"], "--headers and --parquet"),
        (["export", "/tmp/never", "--parquet", "--tables", "blocks,wallets", "--ledger", "LEDGER"], "wallets"),
    ],
)
def test_wrong_use_is_told(ledger, arguments, told):
    done = run(*(str(ledger) if a == "LEDGER" else a for a in arguments), code=2)
    assert told in done.stderr + done.stdout


def test_an_export_can_be_asked_where_it_lies(ledger, tmp_path):
    made = run("export", tmp_path / "out", "--parquet", "--tables", "blocks,scripts", "--ledger", ledger, "--json")
    rows = json.loads(made.stdout)["rows"]
    question = "SELECT (SELECT count(*) FROM blocks), (SELECT count(*) FROM scripts)"
    asked = run("sql", question, "--ledger", ledger, "--parquet", tmp_path / "out", "--json")
    assert json.loads(asked.stdout)["rows"] == [[rows["blocks"], rows["scripts"]]]


def test_a_time_limit_and_ctrl_c_end_an_endless_question(ledger):
    run("sql", "SELECT 1", "--ledger", ledger)
    assert "stopped after 0.5 seconds" in run("sql", ENDLESS, "--ledger", ledger, "--timeout", 0.5, code=1).stderr
    # What runs in the background of a shell, as tests may, has Ctrl-C ignored for all that it starts.
    with subprocess.Popen(
        [GELDSPUR, "sql", ENDLESS, "--ledger", ledger],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as asked:
        time.sleep(2)
        asked.send_signal(signal.SIGINT)
        try:
            _, told = asked.communicate(timeout=60)
        finally:
            asked.kill()
    assert asked.returncode == 130
    assert "Traceback" not in told


def test_an_address_with_all_that_can_be_asked(ledger):
    address = "bcrt1qepr9wm26mult9wrwvx4699p00965az20x36fc4090w6lv8sl8ygs65l8dd"
    options = ["--limit", 3, "--page", 2, "--newest-first", "--at-height", 400, "--neighbours", "--ledger", ledger]
    text = run("address", address, *options).stdout
    assert "after block 400" in text
    assert "paid by:" in text
    assert "--page 3" in text
    view = json.loads(run("address", address, *options, "--json").stdout)
    assert [e["height"] for e in view["history"]] == sorted((e["height"] for e in view["history"]), reverse=True)
    assert set(view["neighbours"]) == {"payers", "paid"}
    run("address", address, "--at-height", 10_000, "--ledger", ledger, code=2)
