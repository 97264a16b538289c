"""Unit tests are quick and do not fail because the machine is busy."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")
