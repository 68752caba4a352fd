"""Checks S: can a small problem be learnt at all?"""
