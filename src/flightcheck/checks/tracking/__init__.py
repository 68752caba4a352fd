"""Checks T: can this run be found, compared, reproduced?"""
