"""What can be said of a sweep, as numbers: no charts, no text, no files."""
