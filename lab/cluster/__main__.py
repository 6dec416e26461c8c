"""``python -m cluster``: start every listener of the simulated cluster."""

from .server import main

main()
