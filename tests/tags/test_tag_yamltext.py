import time

import pytest

from geldspur.tags.yamltext import MAX_DEPTH, Mapping, Scalar, Sequence, YamlError, load

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def _texts(yaml: str) -> list[str | None]:
    node = load(yaml.encode())
    assert isinstance(node, Sequence)
    return [item.text for item in node.items if isinstance(item, Scalar)]


def test_the_traps_of_yaml_1_1_stay_text() -> None:
    written = [
        "NO",
        "no",
        "on",
        "Yes",
        "y",
        "2022-11-16",
        "0x1F",
        "017",
        "1e3",
        "12:30:45",
        ".inf",
        "0.10",
        "1_000",
    ]
    assert _texts("".join(f"- {text}\n" for text in written)) == written


def test_an_unquoted_null_is_nothing_and_a_quoted_one_is_text() -> None:
    assert _texts("- \n- ~\n- null\n- 'null'\n- '~'\n- ''\n") == [None, None, None, "null", "~", ""]


def test_every_value_knows_its_line() -> None:
    node = load(b"# a comment\na: 1\n\nb:\n  - x\n  - c: |\n      long\n      text\n    d: 2\n")
    assert isinstance(node, Mapping)
    listed = node.items["b"]
    assert isinstance(listed, Sequence)
    inner = listed.items[1]
    assert isinstance(inner, Mapping)
    assert (node.line, node.items["a"].line, listed.line, listed.items[0].line) == (2, 2, 5, 5)
    assert (inner.line, inner.items["d"].line) == (6, 9)


def test_a_repeated_key_keeps_its_first_value_and_is_told() -> None:
    node = load(b"a: 1\nb: 2\na: 3\n")
    assert isinstance(node, Mapping)
    assert node.items["a"] == Scalar("1", 1)
    assert node.repeated == [("a", 3)]


@pytest.mark.parametrize(
    ("yaml", "line", "reason"),
    [
        ("a: &x 1\nb: *x\n", 2, r"alias \*x"),
        (BOMB, 2, "alias"),
        ("a: &x [*x]\n", 1, "alias"),
        ("base: &b {c: 1}\nd:\n  <<: *b\n", 3, "alias"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "YAML type tag:yaml.org,2002:python"),
        ("a: !include other.yaml\n", 1, "YAML type !include"),
        ("? [a, b]\n: c\n", 1, "key that is not text"),
        ("a: [1, 2\nb: 3\n", 2, "expected"),
        ("a: 'x\n", 2, "end of stream"),
        ("\ta: 1\n", 1, "cannot start any token"),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_line(yaml: str, line: int, reason: str) -> None:
    with pytest.raises(YamlError, match=reason) as caught:
        load(yaml.encode())
    assert caught.value.line == line


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a: \xc3\x28\n", b"\x00\x01", b"a: \x07\n", b'a: "\\ud800"\n'])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(YamlError):
        load(data)


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- "])
def test_endless_nesting_is_refused_at_once(opening: bytes) -> None:
    start = time.process_time()
    with pytest.raises(YamlError, match="nested deeper"):
        load(opening * 200_000)
    assert time.process_time() - start < 2


def test_nesting_as_deep_as_allowed_is_read() -> None:
    assert isinstance(load(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH), Sequence)


def test_utf_16_is_read_and_an_empty_file_holds_nothing() -> None:
    node = load("a: gr\u00fcn\n".encode("utf-16"))
    assert isinstance(node, Mapping)
    assert node.items["a"] == Scalar("gr\u00fcn", 1)
    assert load(b"# only a comment\n") is None
