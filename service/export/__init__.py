"""Handing over what a filter decided to annotation tools and trainers, and taking their labels back.

One module a format; `exporting` writes them, `incoming` reads labels. Knows nothing of filters, HTTP or the CLI.
"""

from service.export.exporting import FORMATS, ExportReport, export, export_to
from service.export.item import Handover, Item

__all__ = ["FORMATS", "ExportReport", "Handover", "Item", "export", "export_to"]
