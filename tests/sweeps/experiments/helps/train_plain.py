"""Its help has no defaults and no types; its source has them."""

import argparse


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning-rate", "-l", type=float, default=1e-3)
    parser.add_argument("--depth", type=int, default=6, help="of the trees, as in --max-depth")
    parser.add_argument("--l2", type=float, default=0)
    parser.add_argument("--model", choices=["svm", "forest"])
    parser.add_argument("--tag")
    parser.parse_args()


main()
