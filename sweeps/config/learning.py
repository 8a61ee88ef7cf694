"""stub"""
from pathlib import Path
import search_spaces
SHIPPED = Path(search_spaces.__file__).parent / "catalogue" / "portfolios"
