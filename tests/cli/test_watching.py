import pytest

from zoo.cli import _watching
from zoo.cli._watching import evaluation, remaining, watching

OPENING = {
    "kind": "start", "step": 0, "steps": 1000, "model": "unet", "data": "camvid", "parameters": 10, "classes": 3,
    "trained_parameters": 10, "train_images": 4, "val_images": 2, "batch_size": 8, "crop": "full", "device": "cpu",
    "threads": 1, "absent": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "rate", "expected"),
    [(100, 8.0, "2 min"), (100, 80.0, "< 1 min"), (100_000, 8.0, "27.8 h"), (0, 8.0, ""), (5, None, ""), (5, 0.0, "")],
)
def test_how_long_it_takes(steps, rate, expected):
    assert remaining(steps, 8, rate) == expected


def test_lines_have_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.setattr(_watching, "_PAUSE", 0.0)
    with watching() as report:
        report(OPENING)
        report({"kind": "train", "step": 400, "loss": 0.5, "lr": 0.01, "images_per_second": 16.0})
        report({"kind": "train", "step": 1000, "loss": 0.5, "lr": 0.01, "images_per_second": 16.0})
        report({"kind": "warning", "step": 0, "text": "no report"})
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[1:] == [
        "step 400/1000: loss 0.5000, lr 1.00e-02, 16.0 images/s, 5 min left",
        "step 1000/1000: loss 0.5000, lr 1.00e-02, 16.0 images/s",
    ]
    assert said.err == "Warning: no report\n"


def test_an_evaluation_with_and_without_the_newer_numbers():
    record = {"step": 5, "miou": 0.5, "pixel_acc": 0.75, "best": True}
    assert evaluation(record) == "step 5: mIoU 50.0 %, pixel accuracy 75.0 %, best so far"
    record |= {"val_loss": 0.25, "train_miou": 0.625, "best": False}
    assert evaluation(record) == "step 5: mIoU 50.0 %, pixel accuracy 75.0 %, loss 0.2500 (training mIoU 62.5 %)"
