"""`ops gameday`: breaks things in the simulated cluster and measures what becomes of it."""
