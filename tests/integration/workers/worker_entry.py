"""A real worker with a fake trainer. The first argument is the trainer's script, the rest is the worker's."""

import sys

from ratoon_workers.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[2:], trainer=["-S", sys.argv[1]]))
