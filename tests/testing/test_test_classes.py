"""The classes for pytest, run by a pytest of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_world import write_plugin

from zoo.testing import CHECKS

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


def run_pytest(folder: Path, root: Path, *path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rfs", "-q", "."],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*path, root)))},
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["arch", "encoder", "decoder", "dataset"])
def test_the_tests_of_a_new_plugin_pass_and_see_a_fault(kind: str, tmp_path: Path, root: Path) -> None:
    """Announced as an installed one, without the time that an installation takes; see test_scaffold.py for that."""
    project = write_plugin(tmp_path, kind)
    (package,) = (project / "src").iterdir()
    info = project / "src" / f"{package.name}-0.1.0.dist-info"
    info.mkdir()
    namespace = project.name.removeprefix("zoo-")
    (info / "entry_points.txt").write_text(f"[zoo.plugins]\n{namespace} = {package.name}\n")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project.name}\nVersion: 0.1.0\n")
    output = run_pytest(project, root, project / "src")
    assert " passed" in output
    assert "failed" not in output, output
    assert "error" not in output.lower(), output
