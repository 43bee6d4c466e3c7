"""Plans: what a grid still costs, and which runs, seeds or evaluations answer a law's question."""

from pathlib import Path
from typing import Annotated

import typer

from curselab.cli.options import Config, FitFile, FlopPerS, Form, Format, OnlySweeps, Points, Results, Workers, read_points
from curselab.errors import InputError

app = typer.Typer()
plan_app = typer.Typer(no_args_is_help=True, help="Before anything is trained: runs, seeds, FLOP and hours for a question.")
app.add_typer(plan_app, name="plan", rich_help_panel="Before and during training")

Seeds = Annotated[int, typer.Option(min=2, help="Of every setting.")]
Power = Annotated[float, typer.Option(help="Chance of finding what is there, between 0 and 1.")]


@plan_app.command("grid")
def plan_grid(
    config: Config = Path("config/default.yaml"),
    results: Results = Path("results"),
    sweep: OnlySweeps = None,
    flop_per_s: FlopPerS = None,
    gpu: Annotated[str | None, typer.Option(help="In place of --flop-per-s: a100, l40s, h100, h200, b200.")] = None,
    workers: Workers = 1,
    form: Form = Format.TEXT,
) -> None:
    """Say what is left of a grid: runs, jobs, seeds, FLOP, memory, storage, GPU-hours and hours.

    The speed is that of the finished runs, or what is given: of one core or GPU, or 30 % of the peak of a GPU that is named.

    Example: `curselab plan grid --config config/paper.yaml --gpu h100 --workers 8`
    """
    from dataclasses import asdict

    from curselab.cli.terminal import show
    from sweeps.costs import costs, hub_gb, speed_of
    from sweeps.plan import load_plan
    from sweeps.standing import standings

    if gpu is not None and flop_per_s is not None:
        raise InputError("plan: --gpu and --flop-per-s were given, one of them is needed")
    speed = flop_per_s if gpu is None else speed_of(gpu)
    plan = load_plan(config).only(sweep)
    found = costs(plan, standings(plan, results), flop_per_s=speed, workers=workers)
    if form is not Format.TEXT:
        show([asdict(cost) for cost in found], form)
        return
    names = ["sweep", "runs", "left", "jobs", "seeds", "flop_left", "device_gb", "kept_gb", "gpu_hours_left", "hours_left"]
    if not any(run.spec.compute.accelerator == "gpu" for run in plan.runs):
        names.remove("gpu_hours_left")
    show([{name: getattr(cost, name) for name in names} for cost in found])
    hours = [cost.hours_left for cost in found if cost.hours_left is not None]
    left, jobs, flop = (sum(getattr(cost, name) for cost in found) for name in ("left", "jobs", "flop_left"))
    time = f"{sum(hours):.2g} h on {workers} worker{'s' * (workers > 1)}" if len(hours) == len(found) else "time unknown"
    if "gpu_hours_left" in names and len(hours) == len(found):
        time = f"{sum(cost.gpu_hours_left or 0 for cost in found):.3g} GPU-hours, {time}"
    typer.echo(f"{left} runs left in {jobs} job{'s' * (jobs != 1)}, {flop:.3g} FLOP, {time}")
    kept, most = sum(cost.kept_gb for cost in found), max(cost.checkpoint_gb for cost in found)
    text = f", at most {hub_gb(plan):.3g} GB of text from the Hub" if hub_gb(plan) else ""
    typer.echo(f"storage: {kept:.3g} GB of weights that are kept, {most:.3g} GB for checkpoints of a run in training{text}")
    if len(hours) < len(found):
        typer.echo(
            "the speed is known once a run is finished, or by --flop-per-s or --gpu ('curselab doctor' measures the peak)",
            err=True,
        )
    for line in plan.left_out.values():
        typer.echo(line, err=True)


@plan_app.command("scaling")
def plan_scaling(
    fit: FitFile,
    at: Points,
    quantity: Annotated[
        str, typer.Option(help="What to know: a parameter, or params, tokens, tokens_per_param, loss, a or b of a budget.")
    ] = "tokens_per_param",
    compute: Annotated[float | None, typer.Option(help="That budget, FLOP; ten times the largest run if left out.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="How many to choose.")] = 3,
    per_flop: Annotated[bool, typer.Option("--per-flop", help="Most knowledge a FLOP, not a run.")] = False,
    form: Form = Format.TEXT,
) -> None:
    """Choose the next runs among settings that could be run, so that one quantity of a fitted loss becomes known.

    `width`: of its interval after the run, relative to now.

    Example: `curselab plan scaling fit.json params=1e6,3e6,1e7 tokens=1e8,1e9 --quantity alpha`
    """
    from itertools import product

    import pandas as pd

    from analysis.decisions.plan import plan as choose_runs
    from analysis.fit import read_fit
    from curselab.cli.terminal import records, show

    points, read = read_points(at), read_fit(fit)
    if read.law != "scaling":
        raise InputError(f"plan: {fit} is a fit of {read.law}, one of the loss is needed")
    if any(isinstance(value, str) for values in points.values() for value in values):
        raise InputError(f"plan: {' '.join(at)} was given, numbers are needed")
    candidates = pd.DataFrame(list(product(*points.values())), columns=list(points))
    chosen = choose_runs(read, candidates, quantity=quantity, compute=compute, runs=runs, per_flop=per_flop)
    show(records(chosen), form)


@plan_app.command("capacity_gap")
def plan_gap(
    students: Annotated[list[float], typer.Argument(help="Sizes of students, parameters.")],
    noise: Annotated[float, typer.Option(help="Standard deviation of one run beside its seed's effect, nats/token.")],
    seeds: Seeds = 4,
    ratio: Annotated[list[float], typer.Option(help="Teacher over student; repeatable.")] = [1, 2, 4, 8, 16, 32],  # noqa: B006
    tokens_per_param: Annotated[float, typer.Option(help="Of students.")] = 320.0,
    tables: Annotated[int, typer.Option(min=1, help="Simulated sweeps.")] = 100,
    power: Power = 0.8,
    flop_per_s: FlopPerS = None,
) -> None:
    """Simulate a sweep of students and teachers: are best teachers found, how many seeds does a rise need, what does it cost.

    Example: `curselab plan capacity_gap 1e8 3e8 --noise 0.003 --seeds 3`
    """
    from analysis.decisions.plan_capacity_gap import plan_capacity_gap

    plan = plan_capacity_gap(
        students,
        noise=noise,
        ratios=ratio,
        seeds=seeds,
        tokens_per_param=tokens_per_param,
        tables=tables,
        power=power,
        flop_per_s=flop_per_s,
    )
    typer.echo(plan.summary())


@plan_app.command("stability_gap")
def plan_continual(
    depth: Annotated[float, typer.Argument(help="Expected depth of the gap, in the unit of the metric.")],
    steps: Annotated[int, typer.Option(min=1, help="Of the continual training.")],
    minimum: Annotated[float, typer.Option(help="Step at which the minimum is expected.")],
    noise: Annotated[float, typer.Option(help="Standard deviation of one evaluation about its curve.")],
    index: Annotated[float, typer.Option(help="Share of the depth that comes back by the end.")] = 1.0,
    control_depth: Annotated[float | None, typer.Option(help="Depth of a control that is taken off.")] = None,
    items: Annotated[int, typer.Option(min=1, help="Items of an evaluation.")] = 2000,
    item_sd: Annotated[float, typer.Option(help="Standard deviation of one item's score about its curve.")] = 0.0,
    seeds: Seeds = 3,
    power: Power = 0.8,
) -> None:
    """Say which cadence of evaluations, how many items and seeds find a stability gap of a given depth.

    Example: `curselab plan stability_gap 0.05 --steps 1000 --minimum 50 --noise 0.01`
    """
    from analysis.decisions.plan_stability_gap import plan_stability_gap

    plan = plan_stability_gap(
        depth,
        steps=steps,
        minimum=minimum,
        noise=noise,
        index=index,
        control_depth=control_depth,
        items=items,
        item_sd=item_sd,
        seeds=seeds,
        power=power,
    )
    typer.echo(plan.summary())
