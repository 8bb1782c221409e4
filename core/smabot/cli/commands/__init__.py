"""The commands of `smabot`, one file each, named as the command.

Their imports are light, as ``--help`` imports all of them: what needs the engine is imported when it runs.
"""
