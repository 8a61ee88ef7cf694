"""`sweeps doctor`: do records, study and MLflow say the same, and is nothing left behind?

Records are the truth. Each module checks one thing and says in plain lines what is wrong;
`repairing.py` makes the others agree with the records.
"""

from sweeps.manage.doctor.evidence import Problem, Repair
from sweeps.manage.doctor.examining import Diagnosis, examine_home, examine_sweep

__all__ = ["Diagnosis", "Problem", "Repair", "examine_home", "examine_sweep"]
