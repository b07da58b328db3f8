"""Measured error: decoys that can match, spikes that can be missed, intervals that others print too."""

import json
import math
from functools import partial
from statistics import NormalDist

import numpy as np
import pytest
from matching_hashes import random_hashes
from matching_scan import listed, made_scan

from geldspur.evidence.matching import compare, spikes
from geldspur.evidence.matching.error import DECOYS, Trial, decoys, interval, kept_spikes, spike_ins, spike_key
from geldspur.evidence.matching.kept import spikes as spikes_of


def test_the_interval_holds_the_rates_that_would_not_be_rejected():
    z = NormalDist().inv_cdf(0.975)
    for wrong, tried in ((0, 10), (5, 10), (1, 1000), (10, 10), (37, 90_000)):
        low, high = interval(wrong, tried)
        for end in (end for end in (low, high) if 1e-9 < end < 1 - 1e-9):
            assert abs(wrong / tried - end) == pytest.approx(z * math.sqrt(end * (1 - end) / tried), rel=1e-4)
        assert low < wrong / tried < high or wrong in (0, tried)
    assert interval(0, 10)[0] == pytest.approx(0, abs=1e-9)
    assert interval(10, 10)[1] == pytest.approx(1)
    assert interval(0, 0) == (0.0, 1.0)


@pytest.mark.assertion("EV-MA-07", "Chance matches with lists of unrelated hashes are counted.")
def test_decoys_count_contents_that_match_by_chance(tmp_path):
    random = np.random.default_rng(1)
    strangers = random_hashes(random, 40)
    nothing = np.zeros(32, np.uint8)  # keeps its bits wherever they are moved: every permuted decoy of it matches
    with made_scan(tmp_path / "scan") as scan:
        for number, value in enumerate([*strangers[:20], nothing]):
            scan.content(b"%d" % number, "image", [(0, 90, value)])
        scan.content(b"flat", "image", [(0, 30, nothing)])
        db = scan.store.db
        random_list = listed(tmp_path, "random", strangers)
        trial = decoys(db, [random_list])
        assert (trial.tried, trial.wrong) == (2 * DECOYS * 21, 0)
        flat_list = listed(tmp_path, "flat", np.concatenate([strangers[20:], nothing[None]]))
        trial = decoys(db, [random_list, flat_list])
        assert (trial.method, trial.trial, trial.tried) == ("pdq", "decoy", 4 * DECOYS * 21)
        assert trial.wrong == DECOYS
        assert {one["kind"] for one in trial.detail["decoys"] if one["wrong"]} == {"permuted"}
        assert trial == decoys(db, [flat_list, random_list])
        assert decoys(db, []) is None


@pytest.mark.assertion("EV-MA-08", "Misses are measured with made clips that go through the scan's own fingerprinting.")
def test_spike_ins_go_through_the_scans_own_fingerprints_and_come_out_the_same():
    trials = {(trial.method, trial.trial): trial for trial in spike_ins(clips=2)}
    edits = ["unchanged", *spikes.edits()]
    assert set(trials) == {(m, f"spike: {e}") for m in ("md5", "sha1", "sha256", "pdq") for e in edits}
    missed = {(method, trial[7:]): one.wrong for (method, trial), one in trials.items()}
    assert all(one.tried == 2 for one in trials.values())
    assert not any(missed[method, "unchanged"] for method in ("md5", "sha1", "sha256", "pdq"))
    assert all(missed[method, edit] == 2 for method in ("md5", "sha1", "sha256") for edit in edits[1:])
    assert not any(missed["pdq", edit] for edit in ("re-encode 360p", "GOP 30", "colour", "mirror", "letterbox"))
    assert missed["pdq", "crop 6 %"] == 2
    assert spikes.original(7, 0) == spikes.original(7, 0) != spikes.original(7, 1)


def test_spike_ins_are_measured_again_only_when_something_they_depend_on_changed(tmp_path, monkeypatch):
    calls = []

    def measured(progress):
        calls.append(1)
        return [Trial("pdq", "spike: mirror", 10, len(calls), spike_key())]

    monkeypatch.setattr(compare, "spikes", partial(spikes_of, folder=tmp_path / "cache", measure=measured))
    with made_scan(tmp_path / "scan") as scan:
        assert not kept_spikes(scan.store.db)
        for _ in range(2):
            (trial,) = compare.match(scan.store, []).errors
            assert trial.wrong == 1
    with made_scan(tmp_path / "another") as scan:  # takes over what the installation has measured, and says when
        (trial,) = compare.match(scan.store, []).errors
        (event,) = scan.store.db.execute("SELECT event FROM log WHERE event LIKE '%error_measured%'").fetchone()
        cached = json.loads((tmp_path / "cache/spike-ins.json").read_text())
        assert trial.wrong == 1 and json.loads(event)["measured"] == cached["measured"]
        (trial,) = compare.match(scan.store, [], measure_again=True).errors
        assert trial.wrong == 2
        for stale in (json.dumps(cached | {"key": spike_key() | {"av": "1.0"}}), "no JSON", '{"key": 1}'):
            (tmp_path / "cache/spike-ins.json").write_text(stale)
            with scan.store.change() as db:
                db.execute("UPDATE method_error SET detail = ?", (json.dumps(spike_key() | {"numpy": "1.0"}),))
            wrong = trial.wrong
            (trial,) = compare.match(scan.store, []).errors
            assert trial.wrong == wrong + 1
