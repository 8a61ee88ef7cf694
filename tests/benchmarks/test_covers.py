import argparse

from benchmarks import covers
from benchmarks.finalists import FAILURES


def test_it_says_what_intervals_cover_and_that_failures_make_errors(tmp_path):
    asked = argparse.Namespace(draws=12, finalists=[2], cache=tmp_path)
    result = covers.run(asked)
    rows = {(row["luck"], row["samples"]): row for row in result["rows"]}
    assert [luck for luck, _ in rows][-len(FAILURES) :] == [*FAILURES]
    assert rows["normal", 4000]["covered"] >= rows["normal", 4000]["plain"] - 0.1
    assert 0.8 < rows["normal", 4000]["times as wide"] < 1.5
    assert rows["fails by 60", 4000]["false"] > rows["normal", 4000]["false"]
    assert covers.table(result).count("| 2 | 4000 | fails by 60 |") == 1
    assert covers.run(asked) == result


def test_an_interval_is_not_sound_by_being_wide():
    row = {"luck": "normal", "finalists": 2, "samples": 4000, "plain": 0.95, "covered": 0.96}
    found = {"draws": 10_000, "rows": [{**row, "times as wide": 1.1}]}
    assert not covers.failures(found)
    found["rows"][0]["times as wide"] = 1.3
    assert covers.failures(found) == ["2 finalists, 4000 samples, normal: 1.3 times as wide"]
    found["rows"][0] |= {"plain": 0.8, "covered": 0.9}
    assert covers.failures(found) == ["2 finalists, 4000 samples, normal: covered 0.9"]
    found["rows"][0]["luck"] = "fails by 60"
    assert not covers.failures(found), "what 20 trainings do not show has no bound"
