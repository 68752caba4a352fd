"""Faults that look alike in the loss curve, each put into four trainings: is the right one named first?"""
