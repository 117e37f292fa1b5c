"""A daemon process whose jobs are `cheap_job.py`: for tests that kill it."""

import asyncio
import sys
from pathlib import Path

from daw_bridge.control.daemon import ServeOptions, serve
from daw_bridge.control.queue.selection import Catalog

CHEAP_JOB = Path(__file__).with_name("cheap_job.py")
catalog = Catalog(templates=lambda: ["band"], models=lambda: ["preview"], daws=lambda: ["reaper"])
options = ServeOptions(
    music=[Path(sys.argv[1])],
    queue=Path(sys.argv[2]),
    port=int(sys.argv[3]),
    argv_of=lambda job: [sys.executable, str(CHEAP_JOB), job.arguments["path"]],
)
asyncio.run(serve(options, on_ready=lambda port: print(port, flush=True), catalog=catalog))
