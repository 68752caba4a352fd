"""Checks C: do gradients, updates and activations flow?"""
