"""One module a format of masks that come in, as `stages.exchange.incoming.protocol.protocol` wants it."""
