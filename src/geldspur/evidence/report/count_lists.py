"""Figures about lists and methods: what each list knows by each method, and what a method gets wrong."""

import sqlite3

from geldspur.evidence.report.count_files import literal, part_of_name
from geldspur.evidence.report.figures import Counter
from geldspur.evidence.report.lists import Listed, escaped, told_category
from geldspur.wording import LIST_KINDS

_METHOD_WORDS = {
    "sha256": "identical file by SHA-256",
    "sha1": "identical file by SHA-1",
    "md5": "identical file by MD5",
    "pdq": "same video or image by frames (PDQ)",
}


def count_list(counter: Counter, db: sqlite3.Connection, one: Listed) -> None:
    """What one list knows. A list that knows nothing is told like any other."""
    name, lead = f"list.{one.key}", f"List {one.title} ({LIST_KINDS[one.kind]})"
    sha256 = f"sha256 = x'{one.sha256.hex()}'"
    counter.count(
        f"{name}.entries", f"{lead}: entries", f"SELECT entries FROM hash_list WHERE {sha256}", noun="entries"
    )
    for kind in one.unmatchable:
        counter.count(
            f"{name}.unmatchable.{part_of_name(kind)}",
            f"{lead}: entries that hold only {escaped(kind)}, which can't be compared here",
            f"SELECT coalesce(sum(value), 0) FROM hash_list, json_each(unmatchable) "
            f"WHERE {sha256} AND key = {literal(kind)}",
            of=f"{name}.entries",
        )
    for method, entries in one.entries_by.items():
        if entries:
            _known(
                counter, f"{name}.{method}", f"{lead}: {_METHOD_WORDS[method]}", f"{one.where} AND method = '{method}'"
            )
    _known(counter, f"{name}.identical", f"{lead}: identical file by any digest", f"{one.where} AND method <> 'pdq'")
    if one.kind == "benign":
        return
    for level, which, says in (("identical", "<>", "material"), ("near", "=", "material"), ("benign", "<>", "benign")):
        scope = f"{one.where.replace('hit.', '', 1)} AND method {which} 'pdq' AND says = '{says}'"
        categories = f"SELECT DISTINCT category FROM statement WHERE {scope} ORDER BY category"
        for (category,) in db.execute(categories).fetchall():
            told = told_category(one.scheme, category)
            words = _METHOD_WORDS["pdq"] if level == "near" else "identical file"
            _known(
                counter,
                f"{name}.{level}.category.{part_of_name(category)}",
                f"{lead}: {words}, reported there with {told}",
                f"{scope} AND category IS {literal(category)}",
                table="statement",
            )


def _known(counter: Counter, name: str, label: str, where: str, table: str = "hit") -> None:
    sql = f"SELECT count(DISTINCT content) FROM {table} WHERE {where}"
    counter.count(name, f"{label} (unique contents)", sql, of="contents.unique")


def count_errors(counter: Counter, db: sqlite3.Connection) -> None:
    """What was measured about each method's errors."""
    for method, trial in db.execute("SELECT method, trial FROM method_error ORDER BY method, trial").fetchall():
        where = f"FROM method_error WHERE method = {literal(method)} AND trial = {literal(trial)}"
        name = f"error.{part_of_name(method)}.{part_of_name(trial.replace(': ', '-').replace(' ', '_'))}"
        chance = trial == "decoy"
        label = f"Method {method}, {trial}"
        tried = "contents compared with unrelated hashes" if chance else "made clips"
        counter.count(f"{name}.tried", f"{label}: {tried}", f"SELECT tried {where}", noun=tried)
        wrong = "matched by chance" if chance else "missed"
        counter.count(f"{name}.wrong", f"{label}: {wrong}", f"SELECT wrong {where}", of=f"{name}.tried")
