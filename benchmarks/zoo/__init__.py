"""Faulty trainings, their repaired twins, and healthy ones: how often is the diagnosis right?"""
