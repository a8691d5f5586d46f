/* cmd_proxy.h - `outrigger proxy -c FILE|DIR...`: run the proxy until SIGTERM. */
#ifndef OUTRIGGER_CLI_CMD_PROXY_H
#define OUTRIGGER_CLI_CMD_PROXY_H

int cmd_proxy(int argc, char **argv);
/* argv[0] is "proxy". 0: drained and ended; 2: bad usage, bad configuration, or an address that
 * cannot be had. */

#endif
