from .harness import Result as Result
from .harness import fit as fit
from .settings import Machine as Machine
from .settings import Training as Training
