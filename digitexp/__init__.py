"""One experiment on handwritten digits: parameters in, result out; no Optuna, no MLflow."""
