"""Measurements that anyone can run; see README.md beside this file."""
