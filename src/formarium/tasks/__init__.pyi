from .forecasting.task import Forecasting as Forecasting
from .language.task import Language as Language
from .task import Task as Task
