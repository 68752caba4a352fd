"""Healthy trainings at their good learning rate, at thirty times it and at a hundredth of it."""
