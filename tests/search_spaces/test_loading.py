import functools
import json
import operator

import pytest

from search_spaces.errors import SpaceError
from search_spaces.loading import catalogue, load_space
from tests.search_spaces.known import FINITE


def test_an_unknown_name_is_refused_with_the_catalogue_and_a_guess():
    with pytest.raises(SpaceError) as refusal:
        load_space("smok")
    message = str(refusal.value)
    assert "unknown space 'smok'; did you mean 'smoke'?" in message
    assert all(name in message for name in catalogue())


@pytest.mark.parametrize(
    "source", ["", "../mlp", "no space", "x" * 300, "x" * 300 + ".yaml", "a\0b.yaml"]
)
def test_no_odd_name_reaches_a_file(source):
    with pytest.raises(SpaceError):
        load_space(source)


def test_a_name_that_is_a_file_here_is_hinted_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(FINITE)
    with pytest.raises(SpaceError, match=r"did you mean the file mine.yaml"):
        load_space("mine")


def test_a_relative_path_is_looked_up_here_and_its_folder_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yml").write_text(FINITE)
    space = load_space("mine.yml")
    assert (space.name, space.source, space.directory) == ("mine", "mine.yml", tmp_path)


def test_the_search_path_is_used_for_names_and_paths(tmp_path):
    (tmp_path / "mine.yaml").write_text(FINITE)
    for source in ("mine", "mine.yaml"):
        space = load_space(source, search_path=[tmp_path])
        assert space.directory == tmp_path


def test_the_catalogue_describes_each_space_in_one_line():
    spaces = catalogue()
    assert {"mlp", "smoke", "tutorial"} <= set(spaces)
    for description in spaces.values():
        assert description
        assert "\n" not in description


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_a_space_that_a_sweep_has_stored_is_the_space(tmp_path, name):
    stored = tmp_path / "space.json"
    stored.write_text(json.dumps(load_space(name).to_dict()))
    assert load_space(str(stored)).digest() == load_space(name).digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("[" * 200_000, "not JSON"), ("[]", "not a space"), ("{}", "not a")],
)
def test_json_that_no_sweep_has_stored_is_refused(tmp_path, text, said):
    (tmp_path / "space.json").write_text(text)
    with pytest.raises(SpaceError, match=said):
        load_space(str(tmp_path / "space.json"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["name"], 7),
        (["fixed"], {}),
        (["fixed"], "x"),
        (["fixed", "hidden_layers"], 10**400),
        (["body", "parameters", 0, "repeat"], []),
        (["body", "parameters", 0, "layers"], {"a": 7}),
        (["body", "parameters", 0, "domain"], [7]),
    ],
)
def test_a_stored_space_that_somebody_has_altered_is_refused(tmp_path, path, value):
    stored = load_space("smoke").to_dict()
    *above, last = path
    functools.reduce(operator.getitem, above, stored)[last] = value
    (tmp_path / "space.json").write_text(json.dumps(stored))
    with pytest.raises(SpaceError, match="stored space: cannot be read"):
        load_space(str(tmp_path / "space.json"))
