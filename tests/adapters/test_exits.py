"""Being told of ends while the system gives no threads."""

import subprocess
import sys

WATCHING = """
import os, resource, threading, time
from orch.adapters.executors.exits import ExitWatch
told = threading.Event()
watch = ExitWatch(lambda name: told.set())
before, files = resource.getrlimit(resource.RLIMIT_AS), os.listdir("/proc/self/fd")
resource.setrlimit(resource.RLIMIT_AS, (1, before[1]))
try:
    watch.watch("one", os.getpid(), lambda: False)
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_AS, before)
print(os.listdir("/proc/self/fd") == files)
watch.watch("one", os.getpid(), lambda: False)
print(told.wait(60))
"""


def test_without_a_thread_to_be_had_it_is_tried_again_later() -> None:
    said = subprocess.run([sys.executable, "-c", WATCHING], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["no thread to be had", "True", "True"], said.stderr
