"""The recipes that come with Zoo."""

import pytest
from click.testing import CliRunner

import zoo
from zoo.assembly import resolve
from zoo.cli.info import command
from zoo.errors import OptionError, PluginError, UnknownNameError
from zoo.hub.skeleton import skeleton
from zoo.manifest import KINDS, Spec
from zoo.registry import registry
from zoo.training import recipe as recipes
from zoo.training import shelf, stages
from zoo.training.freeze import freeze
from zoo.training.loop import train
from zoo.training.optimizer import build_optimizer
from zoo.training.schedule import factor
from zoo.training.staged import train_stages

SHIPPED = [spec.name for spec in registry().find("recipe")]


def complete(name):
    return stages.resolve(recipes.put(recipes.read(shelf.find_recipe(name)), "data.name", "shapes"), name)


def test_those_that_were_promised_are_there():
    assert set(SHIPPED) >= {
        "fcn8s_staged", "fcn8s_atonce_voc", "fcn32s_fixed", "fcn2015", "fcn32s_alexnet_voc", "deconvnet_voc",
        "deeplabv3_voc", "deeplabv3_torchvision", "fcn_torchvision", "pspnet_voc", "fcn_vgg16_adam", "unet_128",
        "fcn_resnet50_aux", "deeplabv3_resnet50_aux", "small_data", "fine_tune",
    }  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_is_valid_and_its_models_fit(name):
    plan = complete(name)
    for _, recipe in plan:
        table = recipe.model
        resolve(table.name, encoder=table.encoder, options=table.options)
        steps = recipe.run.steps or 1000
        assert 0 < factor(recipe.schedule, 0, steps) <= 1
        if recipe.model.options.get("encoder_weights") not in (None, "imagenet"):
            spec = registry().get("model", table.name)
            assert registry().lookup("weights", f"{spec.meta['encoder']}.{table.options['encoder_weights']}")
    spec = registry().get("recipe", name)
    assert spec.meta["model"] == plan[-1].recipe.model.name
    first = shelf.file_of(spec).read_text(encoding="utf-8")
    assert first.startswith("# ")
    assert "papers" not in spec.meta or "Source: " in first


@pytest.mark.parametrize("name", SHIPPED)
def test_the_parameters_of_a_shipped_recipe_are_found(name):
    """Patterns fit, groups are made, nothing fixed is given to the optimiser."""
    for _, recipe in complete(name):
        options = {key: value for key, value in recipe.model.options.items() if key != "encoder_weights"}
        with skeleton():
            model = zoo.create_model(recipe.model.name, encoder=recipe.model.encoder, num_classes=5, **options)
        fixed = {id(parameter) for parameter in model.parameters() if not parameter.requires_grad}
        freeze(model, recipe.optim)
        held = [p for group in build_optimizer(model, recipe.optim).param_groups for p in group["params"]]
        assert held
        assert not fixed & set(map(id, held))


def test_the_heavy_recipe_is_the_published_one():
    plan = complete("fcn8s_staged")
    assert [(stage.name, stage.recipe.model.name, stage.recipe.optim.lr) for stage in plan] == [
        ("32s", "fcn32s_vgg16", 1e-10), ("16s", "fcn16s_vgg16", 1e-12), ("8s", "fcn8s_vgg16", 1e-14),
    ]  # fmt: skip
    for _, recipe in plan:
        assert (recipe.optim.momentum, recipe.optim.weight_decay, recipe.optim.bias_lr) == (0.99, 5e-4, 2)
        assert (recipe.loss.reduction, recipe.run.steps, recipe.data.batch_size) == ("sum", 100_000, 1)


@pytest.mark.parametrize("name", SHIPPED)
def test_info_shows_its_tables(name):
    shown = CliRunner().invoke(command, [name])
    assert shown.exit_code == 0
    text = shown.output
    assert all(f"{table}\n" in text for table in ("optim", "schedule", "loss", "run"))


def test_a_name_is_of_one_recipe_and_nothing_else():
    for name in SHIPPED:
        assert [kind for kind in KINDS if registry().lookup(kind, name)] == ["recipe"]


def test_a_file_or_a_name(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("")
    assert shelf.find_recipe(str(file)) == file
    assert shelf.find_recipe("small_data").name == "small_data.toml"
    with pytest.raises(UnknownNameError, match=r"no recipe named 'smal_data'\. Did you mean 'small_data'"):
        shelf.find_recipe("smal_data")
    with pytest.raises(OptionError, match=r"cannot read the recipe none\.toml"):
        shelf.find_recipe("none.toml")
    with pytest.raises(PluginError, match=r"recipe 'x' of plugin 'p': there is no"):
        shelf.file_of(Spec("recipe", "x", "s", "p", meta={"file": "none.toml"}, folder=tmp_path))


@pytest.mark.usefixtures("_tiny_world")
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_trains_a_small_model(tmp_path, name):
    """All its tables but the model's, on whole pictures of 20 × 24, for two steps a stage."""
    tables = recipes.read(shelf.find_recipe(name))
    options = ["model.name=tiny", "model.options={}", "data.name=colored", "data.train=train", "data.val=val",
               "data.workers=0", "data.batch_size=2", "data.crops=none", "run.steps=2", "run.eval_every=2",
               "run.accumulate=2",
               *([] if tables["data"]["crop"] == "full" else ["data.crop=16"])]  # fmt: skip
    for option in options:
        tables = recipes.override(tables, option)
    if stages.is_staged(tables):
        result = train_stages(tables, tmp_path / "run")
    else:
        result = train(recipes.build(tables), tmp_path / "run")
    assert result.steps == 2
