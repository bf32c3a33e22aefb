"""The names of the three uncertainties that every prediction has."""

UNCERTAINTIES = ("total", "aleatoric", "epistemic")
"""Attributes of `Outcome` and of predictions; parts of the names of metrics and of stored arrays.

Total uncertainty is the sum of the aleatoric one, which more data would not reduce, and the
epistemic one, in which the members differ.
"""
