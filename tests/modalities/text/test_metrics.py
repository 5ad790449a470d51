import math

import pytest

from tunesmith.modalities.text.metrics import perplexity


def test_perplexity_is_e_to_the_loss():
    assert perplexity(math.log(8.3)) == pytest.approx(8.3)


def test_a_loss_beyond_all_measure_still_has_a_number():
    assert math.isfinite(perplexity(1e6))
