"""Delivery metrics for people: questions to ClickHouse, and their answers in a terminal or as a page."""
