import mmap
import sys

import pytest

from zoo.memory import forget_peak, peak_memory

SIZE = 2**27


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere it cannot be forgotten")
def test_the_peak_stays_until_it_is_forgotten():
    if not forget_peak():
        pytest.skip("this system does not forget it")
    before = peak_memory()
    assert before is not None
    with mmap.mmap(-1, SIZE) as held:  # from the heap it could be memory that this process holds already
        held[:: mmap.PAGESIZE] = bytes([1]) * (SIZE // mmap.PAGESIZE)
    assert peak_memory() - before > SIZE // 2
    assert forget_peak()
    assert peak_memory() - before < SIZE // 2
