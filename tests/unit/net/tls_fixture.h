/* tls_fixture.h - the world of a suite, and a client in it that trusts its authority. For suites
 * that need no other: TestSuite(tls_engine, .init = fixture_open, .fini = fixture_close); */
#ifndef OUTRIGGER_TESTS_TLS_FIXTURE_H
#define OUTRIGGER_TESTS_TLS_FIXTURE_H

#include "tls_peer.h"

extern struct tls_world world;
extern struct tls_client *client;

void fixture_open(void);
void fixture_close(void);

#endif
