from .forecasting.task import Forecasting as Forecasting
from .graphs.task import Graphs as Graphs
from .language.task import Language as Language
from .links.synthetic import Geometries as Geometries
from .links.task import Links as Links
from .sequences.even_tokens import EvenTokens as EvenTokens
from .sequences.positions import PositionIdentification as PositionIdentification
from .task import Task as Task
