"""A program that ends with its starter: ``python PATH/OF/tied.py MODULE …``.

Its standard input is a pipe whose other end the starter alone holds, and never writes to.
"""

import os
import runpy
import signal
import sys
import threading
import time

# Seconds that it has to end when asked.
PATIENCE = 5


def main() -> None:
    """Run a module of Python, whose arguments follow its name."""
    # The folder of this file, whose modules are not meant by other packages' imports.
    del sys.path[0]
    threading.Thread(target=_end_with_starter, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_starter() -> None:
    # Not sys.stdin, whose lock the interpreter asks for when it ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
