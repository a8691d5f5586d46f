/* tls_fixture.c - see tls_fixture.h. */
#include "tls_fixture.h"

struct tls_world world;
struct tls_client *client;

void fixture_open(void)
{
    world_open(&world);
    client = world_client(&world, NULL);
}

void fixture_close(void)
{
    tls_client_unref(&client);
    world_close(&world);
}
