"""What holds for every test."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job, and nohup, ignore ^C, and so would all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
