import pytest
import torch

import zoo
from zoo.dependence import classifier, first_layer
from zoo.hub.skeleton import skeleton
from zoo.registry import registry

NAMED = [spec.name for spec in registry().find("model") if spec.plugin != "smp"]


@pytest.mark.parametrize("name", NAMED)
def test_every_model_has_a_classifier_and_a_first_layer(name):
    with skeleton():
        model = zoo.create_model(name, num_classes=5)
    state = model.state_dict()
    scores, first = classifier(model), first_layer(model)
    assert scores
    assert first
    assert not scores & first
    assert all(5 in state[key].shape for key in scores)
    assert all(key.startswith("encoder.") for key in first)


def test_the_classifier_of_fcn8s_are_its_scores_and_upsampling_kernels():
    with skeleton():
        names = classifier(zoo.create_model("fcn8s_vgg16", num_classes=7))
    layers = {name.split(".")[-2] for name in names}
    assert {"score_fr", "score_pool4", "score_pool3"} <= layers
    assert not any(name.startswith("encoder") for name in names)


def test_auxiliary_scores_belong_to_the_classifier():
    with skeleton():
        names = classifier(zoo.create_model("deeplabv3_resnet50", aux=True))
    assert names == {"head.score.weight", "head.score.bias", "auxiliary.aux.score.weight", "auxiliary.aux.score.bias"}


def test_asking_draws_no_random_number():
    with skeleton():
        model = zoo.create_model("unet_l4")
    before = torch.random.get_rng_state()
    classifier(model)
    first_layer(model)
    assert torch.equal(before, torch.random.get_rng_state())
