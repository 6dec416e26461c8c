"""What the exporters of the pinned versions answer, written by own code from the lab's state."""
