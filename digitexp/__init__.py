"""One experiment on handwritten digits: parameters in, result out. Knows no Optuna and no MLflow."""
