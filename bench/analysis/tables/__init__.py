"""Leaderboards, and tables for papers in each format."""
