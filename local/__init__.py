"""The embedded AWS on this machine: start it, deploy to it, put players in, watch it.

`python -m local --help` lists the commands; `make help` the targets that call them.
"""
