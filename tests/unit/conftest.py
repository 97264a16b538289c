"""Unit tests are quick and do not fail because the machine is busy."""

from hypothesis import settings

settings.register_profile("unit", max_examples=50, deadline=None)
settings.load_profile("unit")
