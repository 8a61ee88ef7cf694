"""From YAML text to a checked space; every mistake with file and line."""
