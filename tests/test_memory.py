import sys

import numpy as np
import pytest

from zoo.memory import forget_peak, peak_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it cannot be forgotten")
def test_the_peak_stays_until_it_is_forgotten():
    if not forget_peak():
        pytest.skip("this system does not forget it")
    before = peak_memory()
    held = np.ones(2**24)
    del held
    assert before is not None
    assert peak_memory() - before > 2**26
    assert forget_peak()
    assert peak_memory() - before < 2**26
