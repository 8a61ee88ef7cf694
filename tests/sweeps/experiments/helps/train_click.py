import click


@click.command()
@click.option("--lr", default=0.01, show_default=True, help="Learning rate.")
@click.option(
    "--batch-size",
    "-b",
    type=click.IntRange(1, 512),
    default=64,
    show_default=True,
    help="Images per step.",
)
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="adam", show_default=True)
@click.option("--momentum", default=0.9)
@click.option("--augment/--no-augment", default=True, show_default=True, help="Shift images.")
@click.option("--nesterov", is_flag=True)
@click.option("--name", default="x", help="Name of the run.")
@click.option("--weight-decay", type=float, required=True)
def main(**options):
    """Train a net."""


main()
