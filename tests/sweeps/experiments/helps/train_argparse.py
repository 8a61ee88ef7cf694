"""Train a small net."""

import argparse

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
)
parser.add_argument("data", help="folder of the images")
parser.add_argument(
    "--lr", "--learning-rate", type=float, default=0.01, metavar="RATE", help="learning rate"
)
parser.add_argument("-b", "--batch-size", type=int, default=64, help="images per step")
parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd", help="which optimizer")
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--nesterov", action="store_true", help="Nesterov momentum")
parser.add_argument(
    "--augment", action=argparse.BooleanOptionalAction, default=True, help="shift images"
)
parser.add_argument("--epochs", type=int, default=10, help="passes over the data")
parser.add_argument("--seed", type=int, default=0, help="decides everything random")
parser.add_argument("--out", default="runs", help="folder to write into")
parser.add_argument("--units", type=int, nargs="+", default=[32, 16], help="units of the layers")
parser.add_argument(
    "--weight-decay", type=float, required=True, help="of all weights (default: none)"
)
parser.parse_args()
