"""One configuration -> one outcome. `train.py` leads; engines live side by side."""
