"""What the record of a sweep says about its data."""

import pytest

from sweeps.records import data_in_words, source_of
from sweeps.records.sweep import is_unseen

DIGEST = "0123456789abcdef" * 4
SCRIPT, OWN = "script:score:maximize:python train.py {x}", "own:experiment"


@pytest.mark.parametrize(
    ("experiment", "info", "unseen"),
    [
        (SCRIPT, {"source": None}, True),
        (SCRIPT, {"source": "d.csv"}, False),
        (OWN, {"source": None}, False),  # its own data, which it has read
        (OWN, {}, False),
    ],
)
def test_of_data_that_a_script_finds_by_itself_nothing_is_known(experiment, info, unseen):
    data = {"name": "train", "digest": DIGEST, "split_digest": DIGEST, "info": info}
    assert is_unseen(experiment, data) is unseen
    said = "what train reads by itself" if unseen else "train (SHA-256 01234567)"
    assert data_in_words(experiment, data) == said
    assert source_of(data) == info.get("source")


@pytest.mark.parametrize("info", [{"source": 7}, {"source": ["a"]}])
def test_a_source_that_is_no_text_is_none(info):
    assert source_of({"info": info}) is None
