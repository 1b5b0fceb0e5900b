import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_runs_come_out_the_same():
    """Few kills; tools/kill_resume.py by itself makes twenty-five."""
    command = [sys.executable, str(ROOT / "tools" / "kill_resume.py"), "--kills", "5", "--steps", "10", "--seed", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kills" in done.stdout
    assert "bit for bit" in done.stdout
