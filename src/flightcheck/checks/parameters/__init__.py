"""Checks P: batch size, learning rate, clipping, optimizer, schedule."""
