"""Checks L: is it the right loss, on the right scale?"""
