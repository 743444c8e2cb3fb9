"""``python -m driftune.cli``: the command line, where no program of the environment is at hand."""

from driftune.cli.program import main

if __name__ == "__main__":
    main()
