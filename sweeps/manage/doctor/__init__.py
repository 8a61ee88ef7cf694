"""`sweeps doctor`: do records, study and MLflow say the same, and is nothing left behind?

Records are the truth. Each module checks one thing and says in plain lines what is wrong;
`repairing.py` makes the others agree with the records.

One line says what disagrees, and nothing is changed; `--fix` makes study and MLflow what the
records say. A study is written anew under another name and takes the old one's in one transaction,
since Optuna never changes an ended trial; a run that disagrees is deleted (MLflow keeps it in its
bin) and sent anew; damaged files are put aside under a dated name.
"""

from sweeps.manage.doctor.evidence import Problem, Repair
from sweeps.manage.doctor.examining import Diagnosis, examine_home, examine_sweep

__all__ = ["Diagnosis", "Problem", "Repair", "examine_home", "examine_sweep"]
