"""Pulumi components, one per real thing, and the settings and topology they are built from."""
