"""One module a format of exports, as `stages.exchange.outgoing.format` wants it."""
