"""`lis annotate`: a local server over the sequences and their results, for a page in a browser.

It computes no result and keeps none of its own: it shows what lies on disk, and writes the files that people can make
by hand. The work is in `stages/steps/page` and `stages/formats`, which know nothing of a server; here stand who may
talk to it, the handlers, and what they ask of the tasks.
"""
