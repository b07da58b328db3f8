import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from geldspur.bitcoin.networks import MAINNET, REGTEST
from geldspur.tags import AddReport, ServiceKind, TagEdition, add_packs, open_tags
from geldspur.tags.packs import parse_pack


def _packs(shared: Path) -> list[Path]:
    return sorted((shared / "real" / "tagpacks").glob("*.yaml"))


@pytest.fixture(scope="module")
def added(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[AddReport, TagEdition]:
    ledger = tmp_path_factory.mktemp("ledger")
    return add_packs(ledger, MAINNET, _packs(shared)), open_tags(ledger)


def _plain(path: Path) -> dict[str, object]:
    """The pack by PyYAML's own safe reader."""
    return yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def test_the_counts_are_those_of_a_plain_reader(shared: Path, added: tuple[AddReport, TagEdition]) -> None:
    report, edition = added
    currencies: Counter[str] = Counter()
    bitcoin: Counter[tuple[str, str, str]] = Counter()
    actors: dict[str, dict[str, object]] = {}
    for path in _packs(shared):
        pack = _plain(path)
        for tag in pack.get("tags", ()):
            said = {**pack, **tag}
            currencies[said["currency"].upper()] += 1
            if said["currency"] == "BTC":
                bitcoin[said["address"], said["label"], said.get("confidence", "unknown")] += 1
        actors.update((actor["id"], actor) for actor in pack.get("actors", ()))
    btc = currencies.pop("BTC")
    assert (btc, sum(currencies.values()), len(actors)) == (66_971, 558, 3_813)
    assert report.counts.read == btc + sum(currencies.values()) + len(actors)
    assert report.counts.other_currency == dict(currencies)
    # The one is a TRON address that the OFAC pack files under Bitcoin.
    assert report.counts.malformed == 1
    assert (report.counts.other_network, report.counts.unusable, report.counts.on_transaction) == (0, 0, 0)
    assert len(edition.tags) == report.total_tags == btc - 1 - report.counts.duplicate
    mine = Counter((tag.address, tag.label, tag.confidence) for tag in edition.tags)
    assert mine == bitcoin - Counter({("TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq", *_OFAC): 1})
    assert set(edition.actors) == set(actors)
    for name, actor in actors.items():
        assert edition.jurisdictions_of(name) == tuple(dict.fromkeys(actor.get("jurisdictions") or ()))
        assert edition.actors[name].categories == tuple(dict.fromkeys(actor["categories"]))


_OFAC = ("Asset listed under US Treasury OFAC Sanctions List", "unknown")


def test_what_is_wrong_in_the_real_packs_is_told_with_its_line(
    shared: Path, added: tuple[AddReport, TagEdition]
) -> None:
    told = {(Path(problem.file).name, problem.line, problem.text) for problem in added[0].problems}
    assert told == {
        ("ofac.yaml", 1069, "TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq"),
        ("ofac.yaml", 9, "confidence"),
        ("miners_additional.yaml", 9, "confidence"),
    }
    line = (shared / "real" / "tagpacks" / "ofac.yaml").read_text("utf-8").splitlines()[1068]
    assert "TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq" in line


def test_norwegian_exchanges_are_norwegian(added: tuple[AddReport, TagEdition]) -> None:
    assert [name for name, actor in added[1].actors.items() if "NO" in actor.jurisdictions] != []
    assert all(len(code) == 2 for actor in added[1].actors.values() for code in actor.jurisdictions)


def test_every_actor_that_a_tag_names_is_described(added: tuple[AddReport, TagEdition]) -> None:
    assert added[0].unknown_actors == ()


@pytest.mark.parametrize(
    ("address", "service", "kind", "grade"),
    [
        ("3BMEXbSSrK2K7cRgqxrtqUWfxowBBrW1BE", "bitmex", ServiceKind.CUSTODIAL, "service_data"),
        ("16ZSAEfYpPCj3D94fsNt2okYj9Ue8mxy6T", "hydramarket", ServiceKind.OTHER_SERVICE, "authority_data"),
        ("3NDzzVxiLBUs1WPvVGRfCYDTAD2Ua2PvW4", "blenderio", ServiceKind.MIXER, "authority_data"),
        ("bc1qs604c7jv6amk4cxqlnvuxv26hv3e48cds4m0ew", "Wasabi Fee", ServiceKind.MIXER, "forensic"),
        ("1Lud76Q98VRHCUiyK7XUs7AgFofrqXeP78", "7ev3n", ServiceKind.PERSON_OR_ABUSE, "forensic"),
        ("1HVi6re6zDr5c5v9Sk2mmL9u7svEHfiBt4", "Betco.in hack", ServiceKind.PERSON_OR_ABUSE, "web_crawl"),
    ],
)
def test_well_known_addresses_have_their_service_and_kind(
    added: tuple[AddReport, TagEdition], address: str, service: str, kind: ServiceKind, grade: str
) -> None:
    edition = added[1]
    found = [tag for tag in edition.by_address[address] if edition.service_of(tag) == service]
    assert {(edition.kind_of(tag), tag.confidence) for tag in found} == {(kind, grade)}


def test_mainnet_packs_say_nothing_about_regtest(shared: Path, tmp_path: Path) -> None:
    report = add_packs(tmp_path, REGTEST, [shared / "real" / "tagpacks" / "hydra.yaml"])
    assert (report.counts.other_network, report.total_tags, report.problems) == (117, 0, [])


def test_the_hydra_case_has_its_service_and_country(shared: Path, tmp_path: Path) -> None:
    cases = shared / "real" / "cases"
    report = add_packs(tmp_path, MAINNET, [cases / "hydra_tagpack.yaml", cases / "hydra_actorpack.yaml"])
    edition = open_tags(tmp_path)
    assert report.problems == []
    assert {edition.service_of(tag) for tag in edition.tags} == {"hydramarket"}
    assert edition.jurisdictions_of("hydramarket") == ("RU",)
    assert [edition.kind_of(tag) for tag in edition.tags] == [ServiceKind.OTHER_SERVICE] * 2
    # The whole pack of the same title takes the slice's place.
    second = add_packs(tmp_path, MAINNET, [shared / "real" / "tagpacks" / "hydra.yaml"])
    assert [pack.counts.read for pack in second.replaced] == [2]
    assert second.total_tags == 117


@pytest.mark.parametrize("name", ["graphsense.actorpack.yaml", "exchange-wallets-bitmex_0.yaml"])
def test_the_largest_packs_are_read_in_seconds(shared: Path, name: str) -> None:
    data = (shared / "real" / "tagpacks" / name).read_bytes()
    start = time.process_time()
    parsed = parse_pack(data, name, MAINNET)
    assert time.process_time() - start < 15
    assert len(parsed.tags) + len(parsed.actors) in (3_813, 50_000)
