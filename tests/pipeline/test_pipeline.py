import json
import shutil
import tomllib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from color_world import COLORS, NAMES, Scenes, color_model, scene
from pipeline_world import known_net, picture, saved, small_model

import zoo
from zoo.errors import CheckpointError, DataError, IncompatibleError, OptionError, UnknownNameError, ZooError
from zoo.evaluation.evaluate import evaluate
from zoo.inference import dense_crf
from zoo.inference.naming import asking_about
from zoo.inference.probabilities import probabilities
from zoo.inference.test_time import TestTime
from zoo.ops import normalize
from zoo.pipeline import Crf, Member, Pipeline, PipelineConfig, Proposals
from zoo.pipeline.files import write_config
from zoo.pipeline.opening import describe, is_pipeline


@pytest.fixture(autouse=True)
def _net():
    with known_net():
        yield


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "a.safetensors", seed=1)
    saved(tmp_path / "b.safetensors", seed=2, classes=("tree", "sky", "road"))
    return tmp_path


def one(member, crf=None, seed=1):
    return Pipeline(PipelineConfig("one", (member,), crf=crf), [small_model(seed)])


def raw(model, image):
    with torch.no_grad():
        return model(normalize(image, model.config.input)[None])["out"]


def test_one_plain_model_answers_as_alone():
    model, image = small_model(1), picture()
    pipeline = one(Member("a"))
    assert torch.equal(pipeline.probabilities(image[None]), raw(model, image).softmax(1))
    found, alone = pipeline.predict(image), model.predict(image)
    assert np.array_equal(found.labels, alone.labels)
    assert found.classes == alone.classes
    assert len(np.unique(found.labels)) > 1


def test_floats_are_pictures_too():
    pipeline, image = one(Member("a")), picture()
    expected = pipeline.probabilities(image[None])
    assert torch.allclose(pipeline.probabilities(image[None] / 255), expected, atol=1e-4)
    half = (image[None].float() + 0.5) / 256  # between the steps of a byte: not rounded to one
    assert torch.allclose(pipeline.probabilities(half), probabilities(small_model(1), half), atol=1e-4)


def test_test_time_options():
    asked = TestTime((0.5, 1), mirror=True)
    image = picture()[None]
    expected = probabilities(small_model(1), image, asked)
    assert torch.allclose(one(Member("a", test_time=asked)).probabilities(image), expected, atol=1e-6)


def test_a_frame():
    model, image = small_model(1), picture((21, 27))
    x = F.pad(normalize(image, model.config.input)[None], (0, 40 - 27, 0, 32 - 21))
    with torch.no_grad():
        expected = model(x)["out"][..., :21, :27].softmax(1)
    assert torch.allclose(one(Member("a", frame=(32, 40))).probabilities(image[None]), expected, atol=1e-6)
    small_frame = one(Member("a", frame=(8, 8))).probabilities(image[None])
    assert torch.equal(small_frame, raw(model, image).softmax(1))


def test_tiles_that_overlap_enough_are_the_whole():
    image = picture((64, 160))
    whole = one(Member("a")).probabilities(image[None])
    tiled = one(Member("a", tile=96)).probabilities(image[None])
    assert torch.allclose(tiled, whole, atol=1e-5)
    faded = one(Member("a", tile=32, overlap=4)).probabilities(image[None])
    assert torch.allclose(faded.sum(1), torch.ones(1, 64, 160), atol=1e-5)
    assert (faded - whole).abs().max() > 1e-4


def test_a_mean_of_models_whose_classes_stand_in_another_order():
    a, b, image = small_model(1), small_model(2, classes=("tree", "sky", "road")), picture()
    expected = (raw(a, image).softmax(1) + raw(b, image).softmax(1)[:, [1, 2, 0]]) / 2
    pipeline = Pipeline.of([a, b])
    assert torch.allclose(pipeline.probabilities(image[None]), expected, atol=1e-6)
    assert pipeline.config.classes == a.config.classes
    assert [member.name for member in pipeline.description.models] == ["tiny_net", "tiny_net-2"]


def test_the_released_product():
    a, b, image = small_model(1), small_model(2), picture()
    expected = (raw(a, image).clamp(min=0) * raw(b, image).clamp(min=0)).softmax(1)
    assert torch.allclose(Pipeline.of([a, b], combine="product").probabilities(image[None]), expected, atol=1e-6)


def test_a_crf_of_every_picture_of_a_batch():
    images = torch.stack([picture(seed=1), picture(seed=2)])
    found = one(Member("a"), Crf("deeplab", 3)).probabilities(images)
    for image, answer in zip(images, found, strict=True):
        before = raw(small_model(1), image).softmax(1)[0]
        expected = dense_crf(before, image.permute(1, 2, 0), iterations=3)
        assert torch.allclose(answer, expected, atol=1e-5)
        assert (answer - before).abs().max() > 0.01


def test_a_crf_of_grey_pictures():
    model, image = small_model(1, channels=1), picture(channels=1)
    pipeline = Pipeline.of([model], crf=Crf("deeplab", 2))
    expected = dense_crf(raw(model, image).softmax(1)[0], image.expand(3, -1, -1).permute(1, 2, 0), iterations=2)
    assert torch.allclose(pipeline.probabilities(image[None])[0], expected, atol=1e-5)
    with pytest.raises(IncompatibleError, match="not 5 channels"):
        Pipeline.of([small_model(1, channels=5)], crf="deeplab")


def test_bfloat16_reaches_the_models():
    pipeline, image = one(Member("a")), picture()[None]
    found = probabilities(pipeline, image, amp=True)
    expected = probabilities(small_model(1), image, amp=True)
    assert torch.equal(found, expected)
    assert not torch.equal(found, pipeline.probabilities(image))


def test_evaluated_as_a_model_is():
    pairs = [scene((6, 9), 0), scene((6, 9), 1), scene((4, 5), 2)]
    pipeline = Pipeline.of([color_model(), color_model(COLORS[::-1], NAMES[::-1], COLORS[::-1])])
    metrics = evaluate(pipeline, Scenes(pairs), batch_size=2)
    assert metrics.miou == 1
    assert list(metrics.iou) == list(NAMES)
    assert metrics.confusion.total == 6 * 9 * 2 + 4 * 5


def test_boxes_of_a_file_by_the_names_of_a_data_set(tmp_path):
    pairs = [scene((6, 9), 0), scene((6, 9), 1), scene((4, 5), 2)]
    whole = {"0": [[0, 0, 9, 6]], "1": [[0, 0, 4, 6]], "2.png": [[0, 0, 5, 4]]}
    (tmp_path / "boxes.json").write_text(json.dumps(whole))
    how = Proposals("file", str(tmp_path / "boxes.json"), enlarge=1, least=1, side=36)
    pipeline = Pipeline(PipelineConfig("boxed", (Member("a", proposals=how),)), [color_model()])
    seen = evaluate(pipeline, Scenes(pairs), batch_size=2).confusion
    # Of the second picture only the first four columns lie in a box; what lies in none is of the first class.
    outside = pairs[1][1][:, 4:]
    assert int(seen.predicted[0]) >= int((outside >= 0).sum())
    with pytest.raises(DataError, match="give a picture by its path"):
        pipeline.predict(pairs[0][0])


def test_boxes_of_a_file_turn_with_a_mirrored_picture(tmp_path):
    (tmp_path / "boxes.json").write_text(json.dumps({"a": [[3, 2, 17, 21]]}))
    how = Proposals("file", str(tmp_path / "boxes.json"), enlarge=1, least=1, side=32)
    pipeline, image = one(Member("a", proposals=how)), picture((30, 40))
    (tmp_path / "boxes.json").write_text(json.dumps({"a": [[23, 2, 37, 21]]}))
    turned = one(Member("a", proposals=how))
    with asking_about(["a.png"], (30, 40)):
        plain, other = pipeline.probabilities(image[None]), turned.probabilities(image.flip(-1)[None]).flip(-1)
        found = probabilities(pipeline, image[None], TestTime(mirror=True))
    assert torch.allclose(found, (plain + other) / 2, atol=1e-6)
    assert (plain - other).abs().max() > 1e-3


def test_large_pictures_are_tiled():
    image = picture((70, 160))
    found = one(Member("a")).predict(image, tile=96)
    share = (found.labels == one(Member("a")).predict(image).labels).mean()
    assert share > 0.97, share


def test_saved_and_loaded(folder):
    config = PipelineConfig(
        "pair",
        (
            Member("a", "a.safetensors", proposals=Proposals("file", "boxes.csv", least=1, side=32)),
            Member("b", "./b.safetensors", frame=(40, 50)),
        ),
        combine="product",
        crf=Crf("deconvnet", 2),
    )
    (folder / "boxes.csv").write_text("picture,x0,y0,x1,y1\nphoto,2,2,30,25\n")
    from PIL import Image

    Image.fromarray(picture().permute(1, 2, 0).numpy()).save(folder / "photo.png")
    write_config(config, folder / "first.toml")
    first = Pipeline.load(folder / "first.toml")
    (folder / "sub").mkdir()
    first.save(folder / "sub" / "second.json")
    record = json.loads((folder / "sub" / "second.json").read_text())
    assert record["model"][0]["weights"] == "../a.safetensors"
    assert record["model"][0]["proposals"]["file"] == "../boxes.csv"
    assert len(record["model"][1]["sha256"]) == 64
    expected = first.predict("photo.png", probabilities=True).probabilities
    shutil.copytree(folder, folder.parent / "elsewhere")
    moved = Pipeline.load(folder.parent / "elsewhere" / "sub" / "second.json")
    assert np.array_equal(moved.predict("photo.png", probabilities=True).probabilities, expected)
    saved(folder / "b.safetensors", seed=3)
    with pytest.raises(CheckpointError, match=r"model 'b': .*b\.safetensors is not the file"):
        Pipeline.load(folder / "sub" / "second.json")


def test_models_in_memory_are_written_beside(folder):
    pipeline = Pipeline.of([small_model(1), small_model(2)], name="two", test_time=TestTime(mirror=True))
    pipeline.save("two.toml")
    record = tomllib.loads((folder / "two.toml").read_text())
    assert [entry["weights"] for entry in record["model"]] == ["two.tiny_net.safetensors", "two.tiny_net-2.safetensors"]
    again = Pipeline.load("two.toml")
    image = picture()[None]
    assert torch.equal(again.probabilities(image), pipeline.probabilities(image))
    assert again.config.options["model"][0]["test_time"] == {"mirror": True}
    assert not list(folder.glob("*.p*t*"))
    with pytest.raises(ZooError, match=r"as \.toml or \.json"):
        pipeline.save("three.txt")
    assert not list(folder.glob("three*"))


def test_weights_whose_name_has_no_suffix_are_still_a_file(folder, monkeypatch):
    shutil.copy(folder / "a.safetensors", folder / "weights")
    config = PipelineConfig("one", (Member("a", "./weights"),))
    write_config(config, folder / "first.toml")
    Pipeline.load("first.toml").save("second.toml")
    monkeypatch.chdir(folder.parent)
    assert Pipeline.load(folder / "second.toml").files == [folder / "weights"]


def test_named_ones_with_weights_of_ones_own(folder):
    saved(folder / "c.safetensors", seed=3)
    given = {"deconvnet": "a.safetensors", "fcn8s": "c.safetensors"}
    assert is_pipeline("edeconvnet_crf")
    image = picture((130, 150))
    product = Pipeline.load("edeconvnet", weights=given)
    found = product(image[None].float())["out"]
    boxes = Pipeline.load("deconvnet_proposals", weights={"deconvnet": "a.safetensors"})(image[None].float())["out"]
    model = small_model(3)
    x = F.pad(normalize(image, model.config.input)[None], (0, 350, 0, 370))
    with torch.no_grad():
        fcn = model(x)["out"][..., :130, :150]
    assert boxes.min() >= 0
    assert torch.allclose(found, boxes * fcn.clamp(min=0), rtol=1e-4, atol=1e-4)
    sharpened = Pipeline.load("edeconvnet_crf", weights=given).probabilities(image[None])[0]
    expected = dense_crf(found.softmax(1)[0], image.permute(1, 2, 0), preset="deconvnet", iterations=10)
    assert torch.allclose(sharpened, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["deconvnet_proposals", "deconvnet_crf", "edeconvnet", "edeconvnet_crf"])
def test_the_published_ones_say_what_to_fetch(name, monkeypatch):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(ZooError, match=r"Fetch http://cvlab.*caffemodel.* --weights deconvnet=FILE"):
        Pipeline.load(name)


def test_errors_of_opening(folder):
    with pytest.raises(UnknownNameError, match=r"no pipeline named 'edeconvnet_cr'.*'edeconvnet_crf'"):
        describe("edeconvnet_cr")
    with pytest.raises(UnknownNameError, match=r"has no model 'fcn'\. Did you mean 'fcn8s'.* It has deconvnet, fcn8s"):
        Pipeline.load("edeconvnet", weights={"fcn": "a.safetensors"})
    with pytest.raises(ZooError, match="names no weights for its model 'deeplab_largefov'"):
        Pipeline.load("deeplab_largefov_crf")
    with pytest.raises(OptionError, match="asks no model about boxes"):
        Pipeline.load("deeplab_largefov_crf", boxes="b.json")
    with pytest.raises(CheckpointError, match=r"model 'fcn8s': .*gone\.safetensors"):
        Pipeline.load("edeconvnet", weights={"deconvnet": "a.safetensors", "fcn8s": "gone.safetensors"})


def test_it_only_answers():
    pipeline = one(Member("a"))
    with pytest.raises(OptionError, match="only answers"):
        pipeline.train()
    with pytest.raises(IncompatibleError, match="output stride"):
        pipeline.predict(picture(), output_stride=8)
    with pytest.raises(UnknownNameError, match="no CRF preset 'deeplob'"):
        one(Member("a"), Crf("deeplob"))
    with pytest.raises(OptionError, match="describes 1 models, 2 were given"):
        Pipeline(pipeline.description, [small_model(), small_model()])


def test_faster_models_answer_alike(folder):
    image = picture()[None]
    pipeline = Pipeline.of([small_model(1), small_model(2)], combine="product")
    expected = pipeline.probabilities(image)
    faster = pipeline.faster("eager", "float32")
    assert torch.allclose(faster.probabilities(image), expected, atol=1e-4)
    with pytest.raises(CheckpointError, match="made faster and cannot be saved"):
        faster.save("f.toml")


def test_a_pipeline_of_a_plugin(folder):
    with zoo.registry.registering_as("pipes"):

        @zoo.register("pipeline", "both", summary="Two")
        def both():
            members = [{"name": name, "weights": str(folder / f"{name}.safetensors")} for name in "ab"]
            return {"pipeline": {"name": "whatever"}, "model": members}

        @zoo.register("pipeline", "wrong", summary="None")
        def wrong():
            return {"pipeline": {"name": "wrong"}}

    assert Pipeline.load("both").config.name == "pipes/both"
    assert describe("pipes/both").summary == "Two"
    with pytest.raises(zoo.errors.PluginError, match=r"'pipes/wrong' of plugin 'pipes': .*no model"):
        describe("wrong")
