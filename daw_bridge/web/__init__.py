"""The page: an HTTP server and a WebSocket on the daemon's loop, one more client of its command table.

`page/` holds plain ES modules, CSS and HTML that go into the wheel as they are; nothing is built. The server gives the
page songs as PCM, peaks, spectrograms and rendered templates; whatever changes something goes through the daemon's
commands.
"""
