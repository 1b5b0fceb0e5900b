"""The classes for pytest, run by a pytest of their own; those of new plugins are run by test_plugin_command.py."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from zoo.testing import CHECKS, DecoderTests

OUTSIDE = """
import zoo.testing

class TestPSP(zoo.testing.DecoderTests):
    name = "psp"

class TestUNet(zoo.testing.DecoderTests):
    name = "unet"

class TestNet(zoo.testing.ArchitectureTests):
    name = "pspnet"
    options = {"width": 8}
    leave_out = ("compile", "export", "pairs", "num_classes", "golden", "inspecting")

class TestWrong(zoo.testing.DecoderTests):
    name = "psp"

    def make(self, taps):
        decoder = super().make(taps)
        decoder.out = decoder.out._replace(channels=3)
        return decoder

class TestNameless(zoo.testing.DatasetTests):
    leave_out = tuple(set(zoo.testing.CHECKS["dataset"]) - {"splits"})
"""


def run_pytest(folder: Path, root: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rfs", "-q", "."],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    return done.stdout + done.stderr


def test_classes_of_tests(tmp_path: Path, root: Path) -> None:
    (tmp_path / "test_outside.py").write_text(OUTSIDE)
    output = run_pytest(tmp_path, root)
    checks = len(CHECKS["decoder"])
    assert "FAILED test_outside.py::TestWrong::test_maps" in output
    assert "out.channels is 3" in output
    assert "mend: set self.out to what forward really gives" in output
    assert "FAILED test_outside.py::TestNameless::test_splits" in output
    assert "TypeError: TestNameless has no name" in output
    assert "2 failed" in output
    assert f"SKIPPED [{checks}]" in output, "the kit cannot know U-Net's widths"
    assert "write a class TestMine" in output
    assert "::TestNet" not in output, "it passes, and what it leaves out is not there"


def test_a_decoder_is_drawn_anew_from_each_seed() -> None:
    """Else two of them could not differ in what they remember beside their weights."""

    class PSP(DecoderTests):
        name = "psp"

    first, second = (PSP().subject().build(seed) for seed in (0, 1))
    assert not torch.equal(next(first.parameters()), next(second.parameters()))
