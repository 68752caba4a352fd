"""Checks D: are the inputs and labels what the loss thinks they are?"""
