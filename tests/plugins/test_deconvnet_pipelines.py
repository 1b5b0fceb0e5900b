"""DeconvNet's named pipelines with its own architectures, narrow ones."""

import pytest
import torch
from pipeline_world import picture

import zoo
from zoo.inference.forward import answering
from zoo.ops import normalize
from zoo.pipeline import Pipeline
from zoo.pipeline.boxes import boxes_of
from zoo.pipeline.opening import describe
from zoo.pipeline.proposals import proposal_scores


@pytest.fixture
def weights(narrow_vgg, tmp_path):
    """Random weights of DeconvNet and FCN-8s, each in a file."""
    torch.manual_seed(0)
    files = {}
    for name, model in (("deconvnet", "deconvnet_vgg16"), ("fcn8s", "fcn8s_vgg16")):
        net = zoo.create_model(model, num_classes=4)
        with torch.no_grad():  # the published initial values answer with zeros
            for parameter in net.decoder.parameters():
                parameter.normal_(0, 0.1)
            for parameter in net.head.parameters():
                parameter.normal_(0, 3)
        files[name] = str(zoo.save(net, tmp_path / f"{name}.safetensors"))
    return files


def test_the_ensemble(weights):
    image = picture((120, 140))
    pipeline = Pipeline.load("edeconvnet", weights=weights)
    found = pipeline.probabilities(image[None])
    deconvnet, fcn = (zoo.load(weights[name]) for name in ("deconvnet", "fcn8s"))
    how = describe("edeconvnet").models[0].proposals
    assert (how.side, how.most, how.least, how.enlarge) == (224, 50, 112, 1.2)
    assert (how.aggregate, how.clipped, how.shifted) == ("max", True, False)
    with answering(deconvnet), answering(fcn):
        boxes = proposal_scores(deconvnet, image, boxes_of(image, how), how)
        framed = torch.zeros(1, 3, 500, 500)
        framed[..., :120, :140] = normalize(image, fcn.config.input)
        whole = fcn(framed)["out"][0, :, :120, :140]
    expected = (boxes * whole.clamp(min=0)).softmax(0)
    assert torch.allclose(found[0], expected, atol=1e-5)
    assert found.std(1).max() > 0.01


def test_with_a_crf(weights):
    pipeline = Pipeline.load("deconvnet_crf", weights={"deconvnet": weights["deconvnet"]})
    found = pipeline.predict(picture((120, 140)))
    assert found.labels.shape == (120, 140)
    assert "dense CRF (parameters: deconvnet, 10 iterations)" in pipeline.description.describe()
