"""`python -m gpt4video`: the command line without the server's commands."""

import sys

from gpt4video.cli import main

sys.exit(main())
