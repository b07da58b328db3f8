from pathlib import Path

import pytest

import tiny_package
import tiny_rows
from geldspur.accuracy.fixture import unpack_case
from geldspur.proof import verifier
from tiny_chain import TinyChain

VERIFIER = Path(verifier.__file__).read_bytes()


@pytest.fixture(scope="session")
def chain(tmp_path_factory) -> TinyChain:
    folder = tmp_path_factory.mktemp("case")
    unpack_case(folder)
    return TinyChain(folder)


@pytest.fixture(scope="session")
def honest(chain) -> tiny_package.Files:
    """The files of a package for NL: leads of one step and of several, with joins, an alternative, a cash-out."""
    leads = [row for row in tiny_rows.leads(chain) if row["source"]["service"] == "ex6"]
    leads.append(tiny_rows.joined_lead(chain))
    leads[-1]["alternatives"] = [
        {"service": "ex1", "share": 0.1, "path": leads[-1]["path"][1:], "stop": None},
        {"service": None, "share": 0.1, "path": [], "stop": leads[-1]["stop"]},
    ]
    direct = next(row for row in tiny_rows.leads(chain) if row["source"]["hops"] == 0)
    direct["source"]["jurisdictions"] = ["FR", "NL"]
    cashout = next(row for row in tiny_rows.cashouts(chain) if row["tag_join"])
    cashout["jurisdictions"] = ["NL"]
    return tiny_package.make(chain, [*leads, direct], [cashout], VERIFIER)


@pytest.fixture
def report_on(chain, tmp_path):
    """Seals files as NL's package, packs them, and verifies the zip."""

    def report(files, headers=None, **fields):
        sealed = tiny_package.seal(files, tiny_package.fields_of(chain, "NL") | fields)
        return verifier.verify(tiny_package.pack(sealed, tmp_path / "NL.zip"), headers)

    return report
