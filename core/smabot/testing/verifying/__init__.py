"""Checks that a plugin keeps the promises of its role: what `smabot verify` runs.

`plugin_checks` says what a check is, `subject` what is checked and on which `generated_markets`;
each module of ``…_promises`` has the checks of a role.
"""
