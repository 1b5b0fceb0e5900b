"""``zoo train``."""

import json
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zoo.training.loop import Result
    from zoo.training.recipe import Recipe, Tables


@click.command()
@click.argument("model", metavar="MODEL", required=False)
@click.option("--data", metavar="NAME|FOLDER", help="A registered data set or a folder.")
@click.option("--out", metavar="RUN", required=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training pictures.  [default: 50]")
@click.option("--steps", type=click.IntRange(min=1), help="Batches, instead of epochs.")
@click.option("-o", "options", metavar="KEY=VALUE", multiple=True, help="Any other setting, as optim.lr=3e-4.")
@click.option("--recipe", metavar="NAME|FILE", help="Settings to start from: a shipped recipe, or a TOML file.")
@click.option("--resume", is_flag=True, help="Continue the run in RUN where it stopped.")
@click.option("--device", help="Where to compute: cpu, cuda, cuda:1, mps …  [default: auto]")
@click.option("--root", metavar="FOLDER", help="Where a registered data set lies.")
@click.option("--download", is_flag=True, help="Fetch a registered data set if it is not there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object; progress goes to stderr.")
@click.pass_context
def command(
    context: click.Context,
    model: str | None,
    data: str | None,
    out: Path,
    epochs: int | None,
    steps: int | None,
    options: tuple[str, ...],
    recipe: str | None,
    resume: bool,
    device: str | None,
    root: str | None,
    download: bool,
    as_json: bool,
) -> None:
    """Train a model on a data set.

    RUN gets best.safetensors (highest mIoU on the validation split), last.safetensors, recipe.toml (every setting),
    metrics.jsonl (what happened), at the end report.html (to look at), and events for TensorBoard where that is
    installed. Ctrl-C saves and stops; --resume continues as if it had not. A recipe in stages makes such a folder for
    each of them inside RUN. `zoo list --kind recipe` shows the recipes there are.

    \b
    zoo train fcn8s@resnet18 --data my_folder --out run
    zoo train fcn8s@resnet18 --data camvid --out run --epochs 100 -o data.crop=256 -o optim.lr=3e-4
    zoo train --recipe fcn8s_staged --data voc2012 --out run
    zoo train --out run --resume
    """
    if epochs is not None and steps is not None:
        raise click.UsageError("give --epochs or --steps, not both")
    given: dict[str, Any] = {
        "model.name": model,
        "data.name": None if data is None else _placed(data),
        "data.root": root,
        "data.download": download or None,
        "run.epochs": epochs,
        "run.steps": steps,
        "run.device": device,
    }

    def settings() -> tuple["Tables", "Recipe | None"]:
        tables, source = _tables(recipe, out if resume else None, given, options)
        return tables, _checked(tables, source)

    from zoo.training.parallel.launch import launched

    if launched():
        from zoo.cli._team import in_team

        with in_team(settings) as (lead, shared):
            _run(context, *shared, out, resume=resume, as_json=as_json, lead=lead)
    else:
        _run(context, *settings(), out, resume=resume, as_json=as_json)


def _run(
    context: click.Context,
    tables: "Tables",
    wanted: "Recipe | None",
    out: Path,
    *,
    resume: bool,
    as_json: bool,
    lead: bool = True,
) -> None:
    """Train; of several processes only the `lead` prints."""
    from zoo.cli._watching import watching
    from zoo.training.interrupt import Interrupted
    from zoo.training.loop import train
    from zoo.training.staged import train_stages

    try:
        with watching(err=as_json) if lead else nullcontext() as report:
            if wanted is None:
                result = train_stages(tables, out, resume=resume, report=report)
            else:
                result = train(wanted, out, resume=resume, report=report)
    except KeyboardInterrupt as stop:
        known = stop if isinstance(stop, Interrupted) else None
        if known is None and lead and not (out / "recipe.toml").exists():
            click.echo("Stopped before the first step.", err=True)
        elif lead:
            after = f" after step {known.step}, everything is saved" if known else ""
            click.echo(f"Stopped{after}. Continue with: {_how_to_resume(context, out)}", err=True)
        raise SystemExit(known.exit_code if known else 130) from None
    if lead:
        click.echo(json.dumps(_record(result)) if as_json else _summary(result))


def _tables(
    recipe: str | None, resumed: Path | None, given: dict[str, Any], options: tuple[str, ...]
) -> tuple["Tables", str]:
    """The settings: a recipe's or the resumed run's own, changed by the arguments, then by the options."""
    from zoo.training import recipe as recipes
    from zoo.training.folder import RunFolder
    from zoo.training.shelf import find_recipe

    base = None if recipe is None else find_recipe(recipe)
    if resumed is not None:
        folder = RunFolder(resumed)
        folder.require_run()
        base = base or folder.recipe
    tables: Tables = {} if base is None else recipes.read(base)
    if "stage" in tables and given["model.name"] is not None:
        raise click.UsageError("leave out MODEL: each stage of this recipe has its own")
    for key, value in given.items():
        if value is not None:
            tables = recipes.put(tables, key, value)
    for option in options:
        tables = recipes.override(tables, option)
    return tables, "settings" if recipe is None else recipe


def _checked(tables: "Tables", source: str) -> "Recipe | None":
    """The recipe; None for one in stages, which is checked as well."""
    from zoo.training import recipe as recipes
    from zoo.training import stages

    staged = stages.is_staged(tables)
    for key, hint in (("model", "MODEL"), ("data", "--data")):
        if not tables.get(key, {}).get("name") and not (staged and key == "model"):
            raise click.UsageError(f"{hint} is missing: give it, or a --recipe that names it")
    if staged:
        stages.resolve(tables, source)
        return None
    return recipes.build(tables, source=source)


def _placed(data: str) -> str:
    """The name of a data set as it is; of a folder its full path, for a run may be resumed from elsewhere."""
    from zoo.registry import registry

    folder = Path(data).expanduser()
    if folder.is_dir() and registry().lookup("dataset", data) is None:
        return str(folder.resolve())
    return data


def _how_to_resume(context: click.Context, out: Path) -> str:
    group = context.parent.params if context.parent else {}
    plugins = [part for path in group.get("plugins", ()) for part in ("--plugin", str(path))]
    return shlex.join(["zoo", *plugins, "train", "--out", str(out), "--resume"])


def _record(result: "Result") -> dict[str, Any]:
    return {
        "out": str(result.out),
        "steps": result.steps,
        "best_miou": result.best_miou,
        "best_step": result.best_step,
        **({} if result.metrics is None else result.metrics.to_json()),
        "images_per_second": result.images_per_second,
        "peak_memory": result.peak_memory,
        "seconds": result.seconds,
    }


def _summary(result: "Result") -> str:
    from zoo.cli._watching import percent

    best = result.out / "best.safetensors"
    lines = [f"Best mIoU {percent(result.best_miou)} at step {result.best_step} of {result.steps}: {best}"]
    if result.images_per_second is None:
        lines.append("The run is complete; a longer one goes on with --resume and more --steps or --epochs.")
    else:
        memory = "" if result.peak_memory is None else f", peak memory {result.peak_memory / 1e9:.2f} GB"
        lines.append(f"{result.seconds:.0f} s, {result.images_per_second:.1f} images/s{memory}")
    if (result.out / "report.html").exists():
        lines.append(f"Look at it: {result.out / 'report.html'}")
    lines.append(f"See it work: zoo predict {shlex.quote(str(best))} PICTURE --out FOLDER")
    return "\n".join(lines)
