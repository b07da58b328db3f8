"""Packages: what goes to which country, and that nothing in them must be taken on trust."""

import csv
import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import tiny_package
import tiny_rows
from geldspur.errors import GeldspurError, UsageError
from geldspur.leads import LeadsData, read_leads_dir
from geldspur.leads.files import write_leads_dir
from geldspur.leads.packages import CurrentState, current_state, package
from geldspur.leads.requests import COLUMNS, file_names
from geldspur.leads.schema import Cashout, Lead
from geldspur.ledger import Ledger
from geldspur.proof import verifier
from tiny_chain import TinyChain, table


def stand_in(data: LeadsData, path, country) -> None:
    """A report in no time: what the real one says is tested elsewhere."""
    path.write_bytes(f"%PDF for {country}".encode())


@pytest.fixture(scope="module")
def chain(embedded) -> TinyChain:
    return TinyChain(embedded.folder / "case")


@pytest.fixture(scope="module")
def current(embedded) -> CurrentState:
    return current_state(embedded.ledger)


@pytest.fixture(scope="module")
def packages(embedded, current, tmp_path_factory):
    """The embedded case's packages, with real reports."""
    out = tmp_path_factory.mktemp("packages") / "out"
    return package(embedded.ledger, embedded.folder / "leads", out, current=current)


@pytest.fixture
def seal(embedded, current, tmp_path):
    """Packages of changed rows: writes them as a leads directory, and packs it."""

    def make(leads=None, cashouts=None, out="out", **changes):
        data = embedded.leads
        leads = list(data.leads) if leads is None else leads
        data = replace(data, leads=leads, cashouts=data.cashouts if cashouts is None else cashouts)
        ledger = embedded.ledger
        write_leads_dir(data, tmp_path / "leads", position=lambda txid: ledger.tx_position(ledger.tx_index(txid)))
        infos = package(
            ledger, tmp_path / "leads", tmp_path / out, **{"current": current, "render": stand_in} | changes
        )
        return {info.country: contents(info.path) for info in infos}

    return make


def contents(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def requests_of(files):
    return [
        row
        for name in sorted(files)
        if name.endswith(".csv")
        for row in csv.DictReader(io.StringIO(files[name].decode()))
    ]


def from_service(lead, *jurisdictions, **changes):
    return lead.model_copy(
        update={"source": lead.source.model_copy(update={"jurisdictions": list(jurisdictions), **changes})}
    )


def named(embedded):
    return [lead for lead in embedded.leads.leads if lead.confidence.band in ("strong", "moderate")]


# What goes where


def test_each_country_gets_its_services_leads_and_no_others(embedded, packages):
    leads = (embedded.folder / "leads/leads.jsonl").read_bytes().splitlines(keepends=True)
    seen = []
    for info in packages:
        files = contents(info.path)
        due = [
            line
            for line in leads
            if (row := json.loads(line))["confidence"]["band"] in ("strong", "moderate")
            and info.country in row["source"]["jurisdictions"]
        ]
        assert files["leads.jsonl"] == b"".join(due)
        assert info.leads == len(due)
        cashouts = [json.loads(line) for line in files["cashouts.jsonl"].splitlines()]
        assert all(info.country in row["jurisdictions"] for row in cashouts)
        assert info.cashouts == len(cashouts)
        seen += due
    assert [info.country for info in packages] == sorted({info.country for info in packages})
    assert len(packages) >= 4
    assert len(seen) == len(named(embedded))
    assert sum(info.cashouts for info in packages) == len(embedded.leads.cashouts) > 0


def test_every_package_is_verified_and_lies_in_the_chain(embedded, packages, tmp_path):
    headers = tmp_path / "headers"
    headers.write_bytes(embedded.ledger.block_header.tobytes())
    for info in packages:
        report = verifier.verify(info.path, headers)
        assert [c for c in report.checks if not c.passed] == []
        assert report.checks[-1].name == "chain"
        assert report.country == info.country
        assert report.manifest_sha256 == info.manifest_sha256


def test_proofs_are_those_of_a_second_reader_of_the_blocks(packages, chain):
    for info in packages:
        files = contents(info.path)
        rows = [json.loads(line) for line in files["proof/transactions.jsonl"].splitlines()]
        places = [chain.where[row["txid"]] for row in rows]
        assert places == sorted(places)
        assert rows == [tiny_package.tx_entry(chain.blocks[h], h, i) for h, i in places]
        heights = sorted({len(chain.blocks) - 1, *(h for h, _ in places)})
        blocks = [json.loads(line) for line in files["proof/blocks.jsonl"].splitlines()]
        assert blocks == [tiny_package.block_entry(chain.blocks[h], h) for h in heights]
        assert (info.transactions, info.blocks) == (len(rows), len(blocks))


def test_no_transaction_travels_that_nothing_rests_on(packages, chain):
    """Data of third parties stay at home unless a check needs them."""
    for info in packages:
        files = contents(info.path)
        rows = [json.loads(x) for n in ("leads", "cashouts") for x in files[f"{n}.jsonl"].splitlines()]
        needed = set().union(*(tiny_package.cited(row) | tiny_package.funding(chain, row) for row in rows))
        present = {json.loads(line)["txid"] for line in files["proof/transactions.jsonl"].splitlines()}
        assert present <= needed
        assert set().union(*map(tiny_package.cited, rows)) <= present


def test_the_same_input_gives_the_same_bytes(embedded, current, packages, tmp_path):
    again = package(embedded.ledger, embedded.folder / "leads", tmp_path / "again", current=current)
    first = packages[0].path.parent
    names = sorted(path.name for path in first.iterdir())
    assert (
        sorted(path.name for path in (tmp_path / "again").iterdir())
        == names
        == sorted([f"{info.country}.zip" for info in packages] + ["packages.json"])
    )
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (first / name).read_bytes()
    assert [info.sha256 for info in again] == [info.sha256 for info in packages]


def test_the_archive_tells_nothing_of_the_machine(packages):
    with zipfile.ZipFile(packages[0].path) as archive:
        entries = archive.infolist()
    assert [e.filename for e in entries] == sorted(e.filename for e in entries)
    assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {e.external_attr >> 16 for e in entries} == {0o100644}
    assert {e.compress_type for e in entries} == {zipfile.ZIP_STORED}
    assert "report.pdf" in {e.filename for e in entries}


def test_the_index_tells_what_to_compare(packages):
    index = json.loads((packages[0].path.parent / "packages.json").read_bytes())
    assert [row["file"] for row in index["packages"]] == [info.path.name for info in packages]
    for row, info in zip(index["packages"], packages, strict=True):
        assert row["sha256"] == info.sha256
        assert row["manifest_sha256"] == info.manifest_sha256
        assert info.size == info.path.stat().st_size


def test_a_service_of_several_countries_goes_to_each_and_says_so(embedded, seal):
    lead = from_service(named(embedded)[0], "AT", "CH")
    made = seal(leads=[lead], cashouts=[])

    assert sorted(made) == ["AT", "CH"]
    assert [row["also_sent_to"] for row in requests_of(made["AT"])] == ["CH"]
    assert [row["also_sent_to"] for row in requests_of(made["CH"])] == ["AT"]
    assert "also sent to: CH" in made["AT"]["README.txt"].decode()
    letter = next(content for name, content in made["AT"].items() if name.startswith("requests/") and name[-1] == "t")
    assert b"AT (also sent to: CH)" in letter


def test_a_service_without_a_country_goes_under_zz(embedded, seal):
    made = seal(leads=[from_service(named(embedded)[0])], cashouts=[])

    assert sorted(made) == ["ZZ"]
    assert "ZZ (services without a stated jurisdiction)" in made["ZZ"]["README.txt"].decode()


def test_own_test_payments_and_weak_leads_stay_at_home(embedded, seal):
    first, second, third = (from_service(lead, "AT") for lead in named(embedded)[:3])
    second = second.model_copy(update={"excluded": True})
    third = third.model_copy(update={"confidence": third.confidence.model_copy(update={"band": "weak"})})
    made = seal(leads=[first, second, third], cashouts=[])

    assert sorted(made) == ["AT"]
    rows = [json.loads(line) for line in made["AT"]["leads.jsonl"].splitlines()]
    assert [row["payment"]["txid"] for row in rows] == [first.payment.txid]


def test_no_lead_to_act_on_makes_no_package(seal, tmp_path):
    assert seal(leads=[], cashouts=[]) == {}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["packages.json"]


def test_what_is_no_country_code_is_refused(embedded, seal):
    with pytest.raises(GeldspurError, match="no country code"):
        seal(leads=[from_service(named(embedded)[0], "../x")], cashouts=[])


def test_columns_of_the_site_file_travel_with_the_lead_but_not_to_the_service(embedded, seal):
    lead = from_service(named(embedded)[0], "AT")
    lead = lead.model_copy(update={"site": lead.site.model_copy(update={"columns": {"customer": "K-4711"}})})
    made = seal(leads=[lead], cashouts=[])["AT"]

    assert b'"customer":"K-4711"' in made["leads.jsonl"]
    assert not any(b"K-4711" in content for name, content in made.items() if name.startswith("requests/"))


# Rows that rest on joins, made by hand


def test_funding_transactions_travel_with_the_joins_that_rest_on_them(chain, seal):
    row = tiny_rows.joined_lead(chain)
    made = seal(leads=[Lead.model_validate(row)], cashouts=[])["NL"]

    present = {json.loads(line)["txid"] for line in made["proof/transactions.jsonl"].splitlines()}
    joins = [*row["inferences"][0]["joins"], row["source"]["tag_join"]]
    for join in joins:
        for txid, pair in zip(
            join["transactions"], zip(join["addresses"], join["addresses"][1:], strict=False), strict=True
        ):
            shown = {chain.address[i] for i in chain.tx(txid).inputs if i[0] in present}
            assert set(pair) <= shown


def test_true_rows_of_the_case_are_sealed_and_verified(chain, seal):
    leads = [Lead.model_validate(row) for row in tiny_rows.leads(chain)]
    cashouts = [Cashout.model_validate(row) for row in tiny_rows.cashouts(chain)]
    made = seal(leads=leads, cashouts=cashouts)

    assert sorted(made) == ["NL", "US", "ZZ"]
    assert sum(len(files["leads.jsonl"].splitlines()) for files in made.values()) == len(leads)


def test_a_row_that_does_not_follow_from_the_transactions_is_never_sealed(embedded, seal, tmp_path):
    lead = from_service(named(embedded)[0], "AT")
    payment = lead.payment.model_copy(update={"value_sat": lead.payment.value_sat + 1})

    with pytest.raises(GeldspurError, match=r"fails its own verification \(outputs: "):
        seal(leads=[lead.model_copy(update={"payment": payment})], cashouts=[])
    assert not (tmp_path / "out").exists()


def test_a_transaction_that_the_ledger_lacks_is_named(embedded, seal):
    lead = from_service(named(embedded)[0], "AT")
    stop = lead.stop.model_copy(update={"txid": "ab" * 32})

    with pytest.raises(GeldspurError, match="cite transaction abab"):
        seal(leads=[lead.model_copy(update={"stop": stop})], cashouts=[])


# Requests


def test_requests_ask_for_transactions_that_the_exchange_made(packages, chain):
    """The truth knows each transaction's owner, and each withdrawal of each account."""
    maker = {r["txid"]: r["input_actors"] for r in table(chain.truth / "transactions.csv")}
    withdrawals = {(r["txid"], r["vout"]): r for r in table(chain.truth / "exchange_withdrawals.csv")}
    asked = [row for info in packages for row in requests_of(contents(info.path)) if row["kind"] == "withdrawal"]
    for row in asked:
        assert row["service"] == maker[row["txid"]]
        height, _ = chain.where[row["txid"]]
        value, _ = chain.tx(row["txid"]).outputs[int(row["vout"])]
        assert row["address"] == chain.address[row["txid"], int(row["vout"])]
        assert row["amount_sat"] == str(value)
        assert row["time_utc"] == chain.time[height]
        assert row["legal_basis"] == ""
        assert row["tag_confidence"]
        assert row["address"] in row["questions"]
    exact = [row for row in asked if (row["txid"], row["vout"]) in withdrawals]
    assert len(exact) > 10
    for row in exact:
        assert withdrawals[row["txid"], row["vout"]]["exchange"] == row["service"]


def test_requests_ask_which_account_a_cash_out_was_credited_to(packages, chain):
    truth = {(r["txid"], r["vout"]): r for r in table(chain.truth / "cashouts.csv")}
    asked = [row for info in packages for row in requests_of(contents(info.path)) if row["kind"] == "deposit"]
    assert asked
    for row in asked:
        true = truth[row["txid"], row["vout"]]
        assert (row["service"], row["address"]) == (true["exchange"], true["deposit_address"])
        assert row["amount_btc"] == f"{int(true['value_sat']) / 1e8:.8f}"
        assert "credited" in row["questions"]


def test_the_letter_says_what_the_list_says(packages):
    for info in packages:
        files = contents(info.path)
        for name in files:
            if name.endswith(".csv"):
                letter = files[name.replace(".csv", ".txt")].decode()
                assert "Legal basis:           ______" in letter
                assert "presumed innocent" in letter
                for row in csv.DictReader(io.StringIO(files[name].decode())):
                    assert f"{row['txid']}:{row['vout']}" in letter
                    assert f"{int(row['amount_sat']):,} sat = {row['amount_btc']} BTC" in letter
                    assert row["time_utc"] in letter


EVIL = '=cmd|"/c calc"!A1'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "\uff1d"])
def test_no_cell_is_a_formula(embedded, seal, start):
    service = f"{start}HYPERLINK(1)"
    lead = from_service(named(embedded)[0], "AT", service=service)
    lead = from_service(lead, "AT", tag=lead.source.tag.model_copy(update={"label": start + EVIL, "source": start}))
    made = seal(leads=[lead], cashouts=[])["AT"]

    (row,) = requests_of(made)
    assert set(row) == set(COLUMNS)
    assert row["service"].startswith("'") or row["service"].startswith("<U+0009>")
    assert not any(value.lstrip().startswith(("=", "+", "-", "@", "\t", "\uff1d")) for value in row.values())


def test_text_from_outside_can_not_forge_a_line_of_the_letter(embedded, seal):
    label = "Good\nLegal basis: court order 7\u202eevil\x1b[31m"
    lead = from_service(named(embedded)[0], "AT")
    lead = from_service(lead, "AT", tag=lead.source.tag.model_copy(update={"label": label}), service=label)
    made = seal(leads=[lead], cashouts=[])["AT"]

    letter = next(content.decode() for name, content in made.items() if re.match(r"requests/.*\.txt", name))
    assert not any(line.startswith("Legal basis: court") for line in letter.splitlines())
    assert "\u202e" not in letter + made["README.txt"].decode()
    assert "\x1b" not in letter + made["README.txt"].decode()
    assert "<U+000A>" in letter


@pytest.mark.parametrize(
    ("services", "names"),
    [
        (["ex6"], ["ex6"]),
        (["Bitfinex.com", "../../etc/passwd", "Börse München", "con", "", "日本", "  -- "], None),
        (["A B", "a-b", "a_b"], None),
        (["x" * 500, "x" * 501], None),
    ],
)
def test_names_of_services_become_safe_and_distinct_file_names(services, names):
    found = file_names(services)
    assert list(found) == sorted(services)
    assert len(set(found.values())) == len(services)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,80}", name) for name in found.values())
    assert not {"con", "nul", "prn"} & set(found.values())
    assert file_names(reversed(services)) == found
    if names:
        assert list(found.values()) == names


def test_a_service_of_an_odd_name_still_makes_a_package_that_is_verified(embedded, seal):
    leads = [
        from_service(lead, "AT", service=s) for lead, s in zip(named(embedded), ["../a", ".. a", "日本"], strict=False)
    ]
    made = seal(leads=leads, cashouts=[])["AT"]

    assert len([name for name in made if name.endswith(".csv")]) == 3


# The README


def test_the_readme_says_how_to_check_and_what_it_was_made_from(packages, embedded):
    manifest = embedded.leads.manifest
    for info in packages:
        files = contents(info.path)
        text = files["README.txt"].decode()
        for said in (
            verifier.hashlib.sha256(files["verify.py"]).hexdigest(), manifest.ledger.tip_hash, manifest.ledger.tip_time,
            manifest.tags_edition, manifest.tags_lastmod, "presumed innocent", "WHAT IT DOES NOT SHOW", "--headers",
        ):  # fmt: skip
            assert said in text
        assert max(map(len, text.splitlines())) <= 100
        assert files["verify.py"] == Path(verifier.__file__).read_bytes()


# Refusals


@pytest.mark.parametrize("what", ["tip_hash", "tags_edition", "wallets_edition", "rules_sha256"])
def test_leads_of_another_state_are_refused(embedded, current, tmp_path, what):
    other = replace(current, **{what: "0" * 64})
    with pytest.raises(GeldspurError, match="made from another") as caught:
        package(embedded.ledger, embedded.folder / "leads", tmp_path / "out", current=other, render=stand_in)
    assert caught.value.exit_code == 1
    assert "geldspur leads" in (caught.value.todo or "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["leads.jsonl", "cashouts.jsonl", "wallets.csv", "coverage.json"])
def test_changed_leads_are_refused(embedded, current, tmp_path, name):
    folder = shutil.copytree(embedded.folder / "leads", tmp_path / "leads")
    raw = (folder / name).read_bytes()
    (folder / name).write_bytes(raw.replace(b"0", b"1", 1))
    with pytest.raises(GeldspurError, match=f"{re.escape(name)} is not the file that the manifest describes"):
        package(embedded.ledger, folder, tmp_path / "out", current=current, render=stand_in)


def test_without_its_source_a_ledger_gives_no_packages_and_says_why(embedded, current, tmp_path):
    folder = shutil.copytree(embedded.ledger.folder, tmp_path / "ledger")
    source = folder / "source/source.json"
    gone = json.loads(source.read_text())
    for file in gone["sources"][0]["source"]["files"]:
        file["path"] = str(tmp_path / "gone.dat")
    source.write_text(json.dumps(gone))

    with pytest.raises(GeldspurError, match="packages need the raw transactions") as caught:
        package(Ledger(folder), embedded.folder / "leads", tmp_path / "out", current=current, render=stand_in)
    assert caught.value.todo
    assert not (tmp_path / "out").exists()


def test_earlier_packages_are_replaced_as_a_whole_and_nothing_else_is(embedded, seal, tmp_path):
    one = [from_service(named(embedded)[0], "AT")]
    two = [from_service(named(embedded)[0], "CH")]
    seal(leads=one, cashouts=[])
    seal(leads=two, cashouts=[])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CH.zip", "packages.json"]

    (tmp_path / "out/notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        seal(leads=one, cashouts=[])
    assert (tmp_path / "out/notes.txt").read_text() == "mine"


def test_a_file_or_a_foreign_directory_is_not_overwritten(embedded, seal, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/packages.json").write_text("[]")
    for out in ("file", "folder", "leads"):
        with pytest.raises(UsageError):
            seal(leads=[], cashouts=[], out=out)


def test_a_renderer_that_fails_leaves_nothing_half_written(embedded, seal, tmp_path):
    seal(leads=[from_service(named(embedded)[0], "AT")], cashouts=[])
    before = (tmp_path / "out/AT.zip").read_bytes()

    def full(data, path, country):
        raise OSError(28, "No space left on device")

    with pytest.raises(GeldspurError, match="No space left"):
        seal(leads=[from_service(named(embedded)[0], "CH")], cashouts=[], render=full)
    assert (tmp_path / "out/AT.zip").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_leads_are_read_back_as_they_were_written(embedded):
    data = read_leads_dir(embedded.folder / "leads")
    assert data.leads == list(embedded.leads.leads)
    assert data.manifest == embedded.leads.manifest
    assert data.coverage == embedded.leads.coverage


def test_joins_and_verifier_name_every_script_alike(embedded, chain):
    """Scripts without an address, too: a join of one must be recognised in the transaction that funded it."""
    ledger, network = embedded.ledger, verifier.NETWORKS["regtest"]
    kinds = set()
    for tx in range(ledger.n_txs):
        for vout, (_, script) in enumerate(chain.tx(ledger.txid(tx)).outputs):
            name = ledger.script_name(int(ledger.out_script[int(ledger.tx_out[tx]) + vout]))
            if name != "op_return":
                assert name in verifier.names_of(script, network)
                kinds.add(name.partition(":")[0] if ":" in name else "address")
    assert kinds == {"address", "p2pk", "multisig", "nonstandard"}
