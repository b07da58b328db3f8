"""What the verifier accepts, and what it says."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_package
from geldspur.proof import verifier
from tiny_package import rows_of


def headers_of(chain, upto=None):
    return b"".join(block.header for block in chain.blocks[:upto])


def test_an_honest_package_is_verified(honest, report_on):
    report = report_on(honest)

    assert [c for c in report.checks if not c.passed] == []
    assert report.verified
    assert [c.name for c in report.checks] == [name for name, _ in verifier.CHECKS]


def test_the_honest_package_puts_every_check_to_work(honest):
    leads = rows_of(honest, "leads.jsonl")
    joins = [j for row in leads for i in row["inferences"] for j in i["joins"]]
    assert {row["source"]["hops"] for row in leads} >= {0, 2}
    assert any(len(j["transactions"]) > 1 for j in joins)
    assert any(row["source"]["tag_join"] for row in leads)
    assert any(row["alternatives"] and row["alternatives"][0]["path"] for row in leads)
    assert any(s["rule"] == "co-spend" for row in leads for s in row["path"])
    assert rows_of(honest, "cashouts.jsonl")[0]["tag_join"]
    assert any(len(row["branch"]) > 2 for row in rows_of(honest, "proof/transactions.jsonl"))


def test_an_unpacked_package_is_verified_as_its_zip_is(honest, chain, tmp_path):
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    folder = tiny_package.unpack(sealed, tmp_path / "NL")

    assert verifier.verify(folder).verified


def test_without_headers_it_says_that_the_chain_was_not_checked(honest, report_on):
    report = report_on(honest)

    assert "That the headers lie in the chain was not checked" in report.not_shown[0]


def test_headers_show_where_the_blocks_lie_and_the_work_behind_them(honest, report_on, chain, tmp_path):
    file = tmp_path / "headers"
    file.write_bytes(headers_of(chain))

    report = report_on(honest, file)

    assert report.verified
    said = report.checks[-1]
    assert said.name == "chain"
    # Core's own chainwork of a regtest block: 2 hashes a block, the first block included.
    assert f"0x{2 * len(chain.blocks):064x}" in said.detail
    assert not any("was not checked" in text for text in report.not_shown)


def test_headers_may_come_as_hex_lines(honest, report_on, chain, tmp_path):
    file = tmp_path / "headers.txt"
    file.write_text("".join(block.header.hex() + "\n" for block in chain.blocks))

    assert report_on(honest, file).verified


def test_headers_from_a_later_block_on_show_less_and_say_so(honest, report_on, chain, tmp_path):
    file = tmp_path / "headers"
    file.write_bytes(headers_of(chain)[80 * 10 :])

    report = report_on(honest, file)

    assert report.verified
    assert "begins at height 10 by the package's own word" in report.checks[-1].detail


def test_headers_that_end_before_the_tip_suffice_if_they_hold_what_is_cited(honest, report_on, chain, tmp_path):
    cited = max(row["height"] for row in rows_of(honest, "proof/transactions.jsonl"))
    file = tmp_path / "headers"
    file.write_bytes(headers_of(chain, cited + 1))

    report = report_on(honest, file)

    assert report.verified
    assert "tip lies above the file's end" in report.checks[-1].detail


def swapped(chain):
    """Headers in which two neighbours changed places."""
    blocks = [b.header for b in chain.blocks]
    blocks[300], blocks[301] = blocks[301], blocks[300]
    return b"".join(blocks)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (lambda chain: headers_of(chain, 300), "is not in the file's chain, which ends at height 299"),
        (lambda chain: headers_of(chain)[80 * 700 :], "is not in the file's chain"),
        (swapped, "does not follow the header before it"),
        (lambda chain: headers_of(chain)[:-1] + b"\x00", "does not reach its own target"),
        (lambda chain: headers_of(chain)[:80] * 2, "does not follow"),
    ],
)
def test_headers_that_do_not_hold_the_blocks_fail_the_chain_check(honest, report_on, chain, tmp_path, headers, said):
    file = tmp_path / "headers"
    raw = headers(chain)
    # The last header of a regtest chain reaches its target by chance half of the time: change it until it fails.
    while said.startswith("does not reach") and verifier.double_sha256(raw[-80:])[-1] < 0x80:
        raw = raw[:-1] + bytes([raw[-1] + 1])
    file.write_bytes(raw)

    report = report_on(honest, file)

    assert [c.name for c in report.checks if not c.passed] == ["chain"]
    assert said in report.checks[-1].detail


@pytest.mark.parametrize("content", [b"", b"x" * 79, b"00" * 80 + b"\n00\n", b"zz" * 50])
def test_a_file_that_holds_no_headers_is_wrong_use(honest, chain, tmp_path, capsys, content):
    file = tmp_path / "headers"
    file.write_bytes(content)
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    path = tiny_package.pack(sealed, tmp_path / "NL.zip")

    assert verifier.main([str(path), "--headers", str(file)]) == 2
    assert "headers" in capsys.readouterr().err


def test_wrong_use_has_exit_code_two(tmp_path, capsys):
    assert verifier.main([]) == 2
    assert verifier.main([str(tmp_path / "nothing.zip")]) == 2
    assert verifier.main(["--nonsense"]) == 2


def test_the_command_prints_a_line_a_check_and_a_verdict(honest, chain, tmp_path, capsys):
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    path = tiny_package.pack(sealed, tmp_path / "NL.zip")

    assert verifier.main([str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(f"ok    {name} " in printed for name, _ in verifier.CHECKS)
    assert [line for line in printed.splitlines() if line.startswith("VERIFIED: ")]
    assert verifier.own_sha256() in printed
    assert printed.isascii()


def test_json_says_the_same_for_programs(honest, chain, tmp_path, capsys):
    sealed = tiny_package.seal(honest | {"report.pdf": b"new"}, tiny_package.fields_of(chain, "NL"))
    sealed["report.pdf"] = b"another"
    path = tiny_package.pack(sealed, tmp_path / "NL.zip")

    assert verifier.main([str(path), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["verified"] is False
    assert [c["name"] for c in said["checks"] if not c["passed"]] == ["files"]
    assert said["verifier_sha256"] == verifier.own_sha256()
    assert said["verdict"].startswith("NOT VERIFIED: ")


def test_the_copy_inside_a_package_verifies_it_on_its_own(honest, chain, tmp_path):
    sealed = tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))
    folder = tiny_package.unpack(sealed, tmp_path / "NL")

    done = subprocess.run([sys.executable, "-I", "verify.py"], cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same as the verifier that runs" in done.stdout


def test_the_verifier_needs_nothing_but_an_old_python():
    source = Path(verifier.__file__).read_text(encoding="ascii")
    tree = ast.parse(source, feature_version=(3, 9))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    assert imported <= sys.stdlib_module_names
    assert "geldspur" not in imported


def test_another_copy_of_the_verifier_is_told_apart(honest, report_on):
    report = report_on(honest | {"verify.py": honest["verify.py"] + b"\n"})

    assert "not the same as the verifier that runs" in report.checks[3].detail
