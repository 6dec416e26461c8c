"""What all settings have in common: the project, and the base of their models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

PROJECT = "pve-monitoring"


class Model(BaseModel):
    """Base of all settings: immutable, camelCase in the stack file, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)
