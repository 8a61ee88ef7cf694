"""A Hydra application: its configuration is conf/config.yaml, its logger prints to stderr."""

import logging

import hydra
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

logger = logging.getLogger(__name__)


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    """Train a linear model for some epochs."""
    digits = load_digits()
    train_x, val_x, train_y, val_y = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, random_state=0
    )
    model = SGDClassifier(
        loss=config.model.loss,
        alpha=config.model.alpha,
        learning_rate="constant",
        eta0=config.lr,
        random_state=config.seed,
    )
    for epoch in range(config.epochs):
        model.partial_fit(train_x, train_y, classes=range(10))
        logger.info("epoch %d val_acc=%.4f", epoch, model.score(val_x, val_y))


if __name__ == "__main__":
    main()
