"""Ordinary faults put into healthy programs of many styles by editing their source."""
