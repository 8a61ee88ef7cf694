"""`sweeps doctor`: checks that records, study and MLflow agree, and that nothing is left behind.

Records are the truth. Each module checks one thing and reports each disagreement in one plain line;
nothing is changed. With `--fix`, `repairing.py` makes study and MLflow agree with the records. A
study is written anew under another name and takes the old name in one transaction, since Optuna
never changes an ended trial. A run that disagrees is deleted (MLflow keeps it in its bin) and sent
anew. Damaged files are put aside under another name, databases under a dated one.
"""

from sweeps.manage.doctor.evidence import Problem, Repair
from sweeps.manage.doctor.examining import Diagnosis, examine_home, examine_sweep

__all__ = ["Diagnosis", "Problem", "Repair", "examine_home", "examine_sweep"]
