"""The README.txt of a package: what it is, how to check it, and what it does not show."""

import textwrap
from collections.abc import Sequence

import pycountry

from geldspur.leads.report.selection import NO_COUNTRY, Selection
from geldspur.leads.report.words import STANDING
from geldspur.leads.requests import ServiceRows, also_sent_to, file_names
from geldspur.proof.verifier import visible
from geldspur.wording import counted

_TEXT = """\
GELDSPUR PACKAGE FOR {country}

{standing}

WHAT THIS IS
Leads from payments on the Bitcoin ledger ({network}) to services that are said to answer to
{country}. A lead names a service, not a person: the account holder is unknown.

{services}

Made by {program} from
  ledger     block {tip_height} of {tip_time}
             {tip_hash}
  tags       edition {tags_edition}, newest tag of {tags_lastmod}
  leads      manifest with SHA-256
             {leads_sha256}
Later blocks are not in it. What is known about services changes over time.

FILES
  report.pdf      for reading
  leads.jsonl     one payment to the site a line: where its money came from
  cashouts.jsonl  one deposit of the site's money a line
  requests/       for each service a list (.csv) and a draft letter (.txt); the legal basis
                  is left blank for the authority
  proof/          every transaction that is cited, raw, with its Merkle branch and header
  manifest.json   the SHA-256 of every other file
  verify.py       checks all of this; needs Python 3.9 or later, and nothing else

HOW TO CHECK IT WITHOUT TRUSTING THE SENDER
1. Ask the sender, by another way than this package came, for the SHA-256 of manifest.json,
   and compare it with the one that the verifier prints.
2. Take the verifier from elsewhere (it is src/geldspur/proof/verifier.py of Geldspur's
   source), or compare the copy in here, before running it, with the SHA-256 published there.
   This copy's is
   {verifier_sha256}
3. Run it:           python3 verify.py PACKAGE
   or, better, with the block headers of a node of your own:
                     python3 verify.py PACKAGE --headers FILE
   FILE holds the headers of the network from its first block on, 80 bytes each.

WHAT THE CHECK SHOWS
That the files are as sealed; that each cited transaction is in a block whose header carries
its work; that paths, amounts and times follow from these transactions; that each join of two
addresses rests on transactions that spend from both. With --headers: that the blocks lie in
your chain.

WHAT IT DOES NOT SHOW
That an attribution is right: a tag is a statement of its source, with the source's own grade.
That a rule of inference holds in the case at hand: its measured error rate is given with it.
Whose the site's address is, who used it, who holds an account, or who controls an address.
"""


def country_name(code: str) -> str:
    """A country's code and name, such as `DE (Germany)`."""
    if code == NO_COUNTRY:
        return f"{code} (services without a stated jurisdiction)"
    found = pycountry.countries.get(alpha_2=code)
    return f"{code} ({found.name})" if found else code


def package_readme(
    country: str,
    selection: Selection,
    services: Sequence[ServiceRows],
    *,
    leads_sha256: str,
    verifier_sha256: str,
) -> str:
    """The README of a country's package."""
    manifest = selection.manifest
    return _TEXT.format(
        country=country_name(country),
        standing=textwrap.fill(STANDING, 95),
        network=manifest.ledger.network,
        services="\n".join(_services(services, country)),
        program=visible(manifest.program),
        tip_height=f"{manifest.ledger.tip_height:,}",
        tip_time=manifest.ledger.tip_time,
        tip_hash=manifest.ledger.tip_hash,
        tags_edition=manifest.tags_edition,
        tags_lastmod=manifest.tags_lastmod or "unknown date",
        leads_sha256=leads_sha256,
        verifier_sha256=verifier_sha256,
    )


def _services(services: Sequence[ServiceRows], country: str) -> list[str]:
    names = file_names(rows.service for rows in services)
    lines = []
    for rows in services:
        line = f"  {visible(rows.service)}: {counted(len(rows.leads), 'lead')}, "
        line += f"{counted(len(rows.cashouts), 'cash-out')} (requests/{names[rows.service]})"
        others = also_sent_to(rows, country)
        lines.append(line + (f"; also sent to: {', '.join(others)}" if others else ""))
    return lines
