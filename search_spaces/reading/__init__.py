"""Turns YAML text into a checked space, and reports every mistake with file and line."""
