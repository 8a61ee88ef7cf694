import json

import pytest
import yaml

from search_spaces.loading import CATALOGUE
from search_spaces.reading import SCHEMA, SpaceFile, json_schema


def objects(node):
    """Yield every object schema with named properties."""
    if isinstance(node, dict):
        if "properties" in node:
            yield node
        for item in node.values():
            yield from objects(item)
    elif isinstance(node, list):
        for item in node:
            yield from objects(item)


def test_every_object_is_closed_and_every_property_described():
    schema = json_schema()
    found = list(objects(schema))
    assert len(found) >= 6
    for item in found:
        assert item["additionalProperties"] is False
        assert item["description"]
        for name, part in item["properties"].items():
            assert name == "type" or part["description"]


def test_the_file_for_editors_is_the_schema():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == json_schema()


def test_it_is_json_with_only_one_title():
    text = json.dumps(json_schema())
    assert json.loads(text)["required"] == ["objective", "parameters"]
    assert json.loads(text)["oneOf"] == [{"required": ["experiment"]}, {"required": ["command"]}]
    assert text.count('"title"') == 1


def test_a_sampler_is_a_name_or_a_mapping_and_choices_a_list_or_bundles():
    definitions = json_schema()["$defs"]
    sampler = definitions["DefaultsModel"]["properties"]["sampler"]
    assert [part.get("type", "reference") for part in sampler["oneOf"]] == ["string", "reference"]
    choices = definitions["CategoricalParameter"]["properties"]["choices"]
    assert [part["type"] for part in choices["oneOf"]] == ["array", "object"]


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.yaml")), ids=lambda path: path.stem)
def test_catalogue_files_use_only_properties_of_the_schema(path):
    top = json_schema()["properties"]
    assert set(yaml.safe_load(path.read_text())) <= set(top)
    assert set(top) == set(SpaceFile.model_fields)
