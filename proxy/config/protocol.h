/* protocol.h - what is spoken with an upstream, as a listener or a policy may say. */
#ifndef OUTRIGGER_CONFIG_PROTOCOL_H
#define OUTRIGGER_CONFIG_PROTOCOL_H

enum protocol {
    PROTOCOL_UNSET = 0, /* a policy that does not say; the listener's word then holds */
    PROTOCOL_AUTO,
    PROTOCOL_HTTP1,
    PROTOCOL_HTTP2,
    PROTOCOL_GRPC,
    PROTOCOL_TCP,
};

#endif
