"""Forecasting: tables of series to windows, benchmark protocols, metrics, intervals, and what is not trained."""
