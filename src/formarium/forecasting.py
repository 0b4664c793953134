"""Forecasting as practitioners call it: ``from formarium.forecasting import Forecaster``."""

from formarium.tasks.forecasting.estimator import Forecast as Forecast
from formarium.tasks.forecasting.estimator import Forecaster as Forecaster
