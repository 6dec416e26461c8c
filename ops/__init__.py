"""The commands that people run: `python -m ops --help`, or the targets of the Makefile."""
