"""Index the app of a folder with the worker library, and print what was found, as JSON.

`python -I -S indexing.py APP [PATH ...]`: nothing can be imported but the standard library and these paths.
"""

import json
import sys
import time
from pathlib import Path


def main(app: str, *paths: str) -> None:
    """Print the functions' bindings, the files of all imported modules, and the seconds that it took."""
    sys.path += paths
    started = time.perf_counter()
    from local.host.worker.worker import Worker

    worker = Worker(Path(app))
    functions = {each.name: sorted(each.raw_bindings) for each in worker.index()}
    seconds = time.perf_counter() - started
    worker.stop()
    files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    sys.stdout.write(json.dumps({"functions": functions, "files": files, "seconds": seconds}))


main(*sys.argv[1:])
