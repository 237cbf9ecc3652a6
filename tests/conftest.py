"""Fixtures that several test files share."""

from conductor_parts import bench

__all__ = ["bench"]
