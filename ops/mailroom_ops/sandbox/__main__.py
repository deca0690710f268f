"""Run the HTTP sandbox alone: `python -m mailroom_ops.sandbox --port 4000`. It ends when standard input is closed."""

import argparse
import sys

from mailroom_ops.sandbox.server import Sandbox


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mailroom_ops.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    with Sandbox(port=parser.parse_args().port) as sandbox:
        print(f"ready {sandbox.url}", flush=True)
        for name in sandbox.stubs:
            print(name, *(f"{key}={value}" for key, value in sandbox.settings(name).items()), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
