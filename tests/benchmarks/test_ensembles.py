import argparse

import pytest

from benchmarks import ensembles


@pytest.mark.slow
@pytest.mark.tensorflow
def test_it_searches_selects_and_scores_on_rows_that_nothing_has_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(ensembles, "TRIALS", 4)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    asked = argparse.Namespace(data=["digits8"], seeds=2, cache=tmp_path)
    result = ensembles.run(asked)
    (row,) = result["rows"]
    assert (row["searches"], row["test samples"]) == (2, 797)
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["difference"] == pytest.approx(row["ensemble"] - row["best"])
    assert 0.0 < row["best"] < 0.5
    assert 1 <= row["members"] <= 4
    assert ensembles.table(result).count("| digits8 | 2 | 797 |") == 1
    monkeypatch.delattr(ensembles, "searched")
    assert ensembles.run(asked) == result, "kept, not searched again"


def test_the_rows_that_are_held_out_do_not_train():
    found = {
        of_test: {tuple(row) for row in ensembles._table(
            ensembles.digits8_rows, train=1000, of_test=of_test
        )[0]}
        for of_test in (False, True)
    }  # fmt: skip
    assert not found[False] & found[True]


def test_it_fails_where_the_error_is_not_lower_or_may_be_higher():
    row = {"data": "mlp", "lower": 0.1, "high": -0.001, "margin": 0.005}
    assert not ensembles.failures({"rows": [row]})
    assert ensembles.failures({"rows": [{**row, "lower": 0.05}]}) == [
        "error lower by 0.050 on average"
    ]
    assert ensembles.failures({"rows": [{**row, "high": 0.01}]}) == ["mlp: 0.01 worse"]
    with pytest.raises(RuntimeError, match="two searches or more"):
        ensembles.run(argparse.Namespace(data=[], seeds=1, cache=None))
