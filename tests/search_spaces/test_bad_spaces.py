"""Every bad file gives one clear message with file and line."""

import pytest

from search_spaces.errors import SpaceError
from search_spaces.loading import load_space
from tests.search_spaces import bad_spaces

TABLES = ("RANGES", "CHOICES", "RELATIONS", "SHAPE", "BASELINES", "TEXT")
CASES = [
    pytest.param(text, fragments, id=f"{table.lower()}: {name}")
    for table in TABLES
    for name, (text, fragments) in getattr(bad_spaces, table).items()
]


def test_the_space_all_cases_are_made_from_is_good(load):
    assert load(bad_spaces.GOOD).size() is None


def test_the_table_is_large_enough():
    assert len(CASES) >= 35


@pytest.mark.parametrize(("text", "fragments"), CASES)
def test_a_bad_space_is_refused_with_file_line_and_help(load, tmp_path, text, fragments):
    with pytest.raises(SpaceError) as refusal:
        load(text)
    message = str(refusal.value)
    for fragment in fragments:
        assert fragment in message
    for line in message.splitlines():
        assert line.startswith(f"{tmp_path}/space.yaml:")
    assert "pydantic" not in message


def test_all_mistakes_of_a_file_are_named_at_once_in_its_order(load):
    text = bad_spaces.changed("low: 1e-4", "low: tiny").replace("maximize", "up")
    with pytest.raises(SpaceError) as refusal:
        load(text)
    first, second = str(refusal.value).splitlines()
    assert ":2: objective.direction" in first
    assert ":4: parameters.learning_rate.low" in second


def test_a_missing_file_is_refused_with_the_name_of_a_similar_one(tmp_path):
    (tmp_path / "space.yaml").write_text("a: 1")
    with pytest.raises(SpaceError, match=r"no such file; did you mean 'space.yaml'\?"):
        load_space(str(tmp_path / "spce.yaml"))


def test_a_file_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(SpaceError, match="no such file"):
        load_space(str(tmp_path / "nowhere" / "space.yaml"))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(SpaceError, match=r"is a folder; name a \.yaml file in it"):
        load_space(str(tmp_path))


def test_another_ending_is_refused(tmp_path):
    (tmp_path / "space.toml").write_text("")
    with pytest.raises(SpaceError, match=r"ends in \.yaml or \.yml"):
        load_space(str(tmp_path / "space.toml"))


def test_text_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "space.yaml").write_bytes("description: größe".encode("latin-1"))
    with pytest.raises(SpaceError, match=r"is not UTF-8 text \(byte 15\)"):
        load_space(str(tmp_path / "space.yaml"))


def test_a_file_too_large_is_refused_unread(tmp_path):
    (tmp_path / "space.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(SpaceError, match="is 1000001 bytes; at most 1000000"):
        load_space(str(tmp_path / "space.yaml"))


def test_a_byte_order_mark_is_not_part_of_the_first_key(load):
    assert load("\ufeff" + bad_spaces.GOOD).experiment == "package.module:experiment"
