"""An engine without a screen that passes on everything it knows, by the protocol it came in.

The contract. A viewer connects as publishers do, with a HELLO of role "monitor"; from then on the
relay is a publisher to it, of as many sessions as it knows (see wire.py, "Relays"). DATA of wire
sessions goes on frame by frame under its own session and seq, so that it is the same on every way
to a viewer, and after a restart of the relay; what came otherwise (log files, JSON, counters of
servers) becomes sessions of the relay's own. A late viewer gets what the store holds, then the log
of frames from that very point on. Whoever is slow gets thinner data; nobody waits for him.

    listener    the socket: publishers' frames to the hub, viewers' to the relay, and back
    channel     one session as it is passed on
    channels    batches of the sources -> entries of the log
    log         the newest frames of all sessions, bounded in bytes
    opening     what a viewer is sent first of a session
    viewer      one viewer's place in the log
    thin        many frames -> one, the extremes kept
    relay       all of them, one turn at a time
"""
