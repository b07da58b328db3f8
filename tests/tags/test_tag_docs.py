import re
from pathlib import Path

from geldspur.bitcoin.networks import MAINNET
from geldspur.tags.packs import parse_pack
from geldspur.tags.taxonomy import CONCEPTS, ServiceKind, confidence_levels, kind_of

PAGE = (Path(__file__).parents[2] / "docs" / "tags.md").read_text("utf-8")


def test_the_packs_on_the_page_are_read_without_a_problem() -> None:
    tagpack, actorpack = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    tags = parse_pack(tagpack.encode(), "tagpack", MAINNET)
    actors = parse_pack(actorpack.encode(), "actorpack", MAINNET)
    assert [tag.label for tag in tags.tags] == ["example.org reserve wallet", "example.org cold wallet"]
    assert actors.actors[0].jurisdictions == ("NO", "DE")
    assert tags.problems == actors.problems == []


def test_the_page_has_every_grade_with_its_level() -> None:
    table = {grade: int(level) for grade, level in re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE)}
    assert table == confidence_levels()


def test_the_page_files_concepts_as_the_program_does() -> None:
    rows = re.findall(r"^\| (custodial|mixer|other service|person or abuse|unknown) \| (.*?) \|", PAGE, re.MULTILINE)
    assert [name for name, _ in rows] == [kind.value.replace("_", " ") for kind in ServiceKind]
    named = set()
    for name, cell in rows:
        for concept in re.findall(r"`(\w+)`", cell):
            assert kind_of(concept) == ServiceKind(name.replace(" ", "_")), concept
            named.add(concept)
    left = {c for c in CONCEPTS - named if kind_of(c) in (ServiceKind.CUSTODIAL, ServiceKind.MIXER)}
    assert left == set()
    others = {c for c in CONCEPTS - named if kind_of(c) == ServiceKind.OTHER_SERVICE}
    assert all(c.startswith("defi_") for c in others)
