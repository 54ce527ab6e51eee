"""Runs on disk: one small SQLite file a run, bounded in size and age, written once a second.

The contract. The keeper hears what a relay would send its viewers and never waits: a thread of its
own writes. Whatever is wrong with the disk, watching goes on and one line says so. One monitor at
a time writes a run; another that sees it too takes over when the first is gone. Sessions and the
seqs of their DATA tell what is there already, so that a restart doubles nothing. What grows beyond
its share is folded into buckets, oldest first. Nothing that a file may hold raises anything but
ConfigError, in one line.

    limits      how much is kept, as the config file says
    folder      where the files are, who may read them, and who writes which
    book        one run's file
    page        what one transaction adds to it
    fold, trim  DATA -> buckets, histograms and exact ends, where there is more than its share
    room        which files go when there are too many, and when they are too old
    keeper      log entries -> sheets for the writer, on the thread that owns the store
    writer      sheets -> files, on a thread of its own
    reading     a file -> frames, as a relay would send them
    source      a kept run as a source
    keeping     an engine that is kept, a hub that begins with what was
    entry       what is told of a run in a list, and written with it
    listing     the list, and the run that somebody means
"""
