"""One test per scenario."""

import pytest

from suite import registry


@pytest.mark.parametrize("name", sorted(registry.load()))
def test_scenario(name, outcomes, request):
    outcome = outcomes[name]
    times = request.config.__dict__.setdefault("scenario_times", {})
    times[name] = outcome.seconds
    if outcome.error is not None:
        raise outcome.error
